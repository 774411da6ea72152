#!/usr/bin/env python3
"""Computes with Hugging Face transformers what `actfleet check --parity` compares: every tap and the last logits.

    python huggingface.py ASK.json OUT

ASK is {"model": directory, "gguf": a file in it or "", "double": whether to compute in 64 bits, "prompts": [[id, ...], ...],
"places": see Taps, "continue": how many tokens to add to each prompt, or null, "add": {module: vector} that is added to what the module
gives while it continues}. Prompt i becomes
OUT/p<i>.safetensors with {site}_{layer} [T, D] for every tap and logits [V] after the last token, in float32;
OUT/peer.json says what computed it, and OUT/continued.json the tokens that were added. The committed references are made with it too.
"""
import copy
import json
import os
import sys

try:
    import safetensors.torch
    import torch
    import transformers
except ImportError as e:
    if __name__ != "__main__":
        raise
    sys.exit(f"missing: {e.name}")


class Taps:
    """Forward hooks on every place of every tap; columns are what they saw, by column name.

    places are {column: [{"modules": [name, ...], "input": bool, "grouped": bool, "choice": bool}, ...]}: what the modules
    give side by side, or what one reads, or the experts that a router chose. All places of a column hold the same vectors, which is checked. A block with experts lacks the
    parts of an MLP.
    """

    def __init__(self, model, places):
        self.seen, c = {}, model.config
        self.heads = getattr(c, "num_kv_heads", None) or getattr(c, "num_key_value_heads", None) or c.num_attention_heads
        if c.model_type == "falcon" and not c.new_decoder_architecture:
            self.heads = 1 if c.multi_query else c.num_attention_heads
        self.group = c.num_attention_heads // self.heads
        self.factor = getattr(c, "residual_multiplier", 1)     # Granite multiplies outside of any module
        for column, all_places in places.items():
            for i, place in enumerate(all_places):
                if hasattr(c, "num_experts_per_tok") and len(all_places) > 1 and not all(has(model, name) for name in place["modules"]):
                    continue
                for part, name in enumerate(place["modules"]):
                    self.watch(model.get_submodule(name), (column, i, part), place)

    def watch(self, module, key, place):
        def keep(out):
            if place.get("choice"):
                out = chosen(*out)
            out = out[0] if isinstance(out, tuple) else out     # attention and routers give tuples, in old versions blocks do
            out = out.detach().float()
            out = out[0] if out.dim() == 3 else out             # routers and OPT's MLP see prompts end to end
            if place.get("grouped"):
                out = self.ungrouped(out)
            if key[0].startswith(("attn_out_", "mlp_out_")):
                out = out * self.factor
            self.seen[key] = out.clone()
        if place.get("input"):
            module.register_forward_pre_hook(lambda _m, args, kwargs: keep(args[0] if args else kwargs["hidden_states"]), with_kwargs=True)
        else:
            module.register_forward_hook(lambda _m, _args, out: keep(out))

    def ungrouped(self, x):
        """[key head: queries, key, value] as [q|k|v]."""
        cut = x.unflatten(-1, (self.heads, self.group + 2, -1))
        return torch.cat([cut[:, :, :-2].flatten(1), cut[:, :, -2].flatten(1), cut[:, :, -1].flatten(1)], dim=-1)

    def columns(self):
        found = {}
        for column, i in sorted({key[:2] for key in self.seen}):
            parts = [t for key, t in sorted(self.seen.items()) if key[:2] == (column, i)]
            whole = torch.cat(parts, dim=-1).contiguous()
            if not torch.equal(found.setdefault(column, whole), whole):
                sys.exit(f"transformers has other vectors at place {i} of {column} than at its first")
        return found


def chosen(_logits, weights, experts):
    """What a router chose, [T, k], the greatest weight first; of equal weights the lower number."""
    experts, order = experts.sort(dim=-1)
    return experts.gather(-1, weights.gather(-1, order).sort(dim=-1, descending=True, stable=True).indices)


def has(model, name):
    """Whether a model has a module."""
    try:
        return model.get_submodule(name) is not None
    except AttributeError:
        return False


def hf_phi(c):
    """The config of Hugging Face's Phi that computes what a phi-msft config means."""
    size, width = c.get("pad_vocab_size_multiple", 64), c["n_embd"] // c["n_head"]
    return dict(model_type="phi", hidden_size=c["n_embd"], num_attention_heads=c["n_head"], num_key_value_heads=c.get("n_head_kv"),
                num_hidden_layers=c["n_layer"], intermediate_size=c.get("n_inner") or 4 * c["n_embd"],
                vocab_size=-(-c["vocab_size"] // size) * size, max_position_embeddings=c["n_positions"],
                hidden_act=c["activation_function"], layer_norm_eps=c["layer_norm_epsilon"],
                partial_rotary_factor=min(c.get("rotary_dim") or 32, width) / width)


def hf_names(weights, layers):
    """Renames the weights of Microsoft's Phi, whose older generation numbers the embedding as layer 0."""
    old = "layers.0.wte.weight" in weights
    head = f"layers.{layers + 1}" if old else "lm_head"
    out = {"model.embed_tokens.weight": weights.pop("layers.0.wte.weight" if old else "transformer.embd.wte.weight")}
    for end in ("weight", "bias"):
        for i in range(layers):
            at, to = f"layers.{i + 1}" if old else f"transformer.h.{i}", f"model.layers.{i}"
            out[f"{to}.qkv.{end}"] = weights.pop(f"{at}.mixer.Wqkv.{end}")
            for a, b in (("ln", "input_layernorm"), ("mixer.out_proj", "self_attn.dense"), ("mlp.fc1", "mlp.fc1"), ("mlp.fc2", "mlp.fc2")):
                out[f"{to}.{b}.{end}"] = weights.pop(f"{at}.{a}.{end}")
        out[f"model.final_layernorm.{end}"] = weights.pop(f"{head}.ln.{end}")
        out[f"lm_head.{end}"] = weights.pop(f"{head}.linear.{end}")
    return out


def files(folder):
    index = f"{folder}/model.safetensors.index.json"
    if not os.path.exists(index):
        return ["model.safetensors"]
    with open(index) as f:
        return sorted(set(json.load(f)["weight_map"].values()))


def load_msft(folder, c):
    model = transformers.AutoModelForCausalLM.from_config(transformers.PhiConfig(**hf_phi(c)), attn_implementation="eager").float()
    weights = {}
    for name in files(folder):
        weights.update(safetensors.torch.load_file(f"{folder}/{name}"))
    weights = hf_names(weights, c["n_layer"])
    a = model.model.layers[0].self_attn
    widths = [p.weight.shape[0] for p in (a.q_proj, a.k_proj, a.v_proj)]
    for name in [n for n in weights if ".qkv." in n]:
        for part, t in zip("qkv", weights.pop(name).split(widths)):
            weights[name.replace(".qkv.", f".self_attn.{part}_proj.")] = t
    model.load_state_dict(weights)
    return model


def kernels(config):
    """The code that is the model's: eager, but for Falcon with ALiBi, where transformers 5.24's eager adds it twice."""
    twice = config["model_type"] == "falcon" and config.get("alibi")
    how = {"attn_implementation": "sdpa" if twice else "eager"}
    if "num_experts_per_tok" in config:                         # the default takes no experts of odd widths
        how["experts_implementation"] = "eager"
    return how


def load(folder, gguf):
    if gguf:
        how = {"gguf_file": gguf, "attn_implementation": "eager"}
    else:
        with open(f"{folder}/config.json") as f:
            config = json.load(f)
        how = kernels(config)
        if config["model_type"] in ("phi-msft", "mixformer-sequential"):
            return load_msft(folder, config)
    how["dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"] = torch.float32
    return transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, **how)


def adds(vector):
    """A hook that adds a vector to what a module gives."""
    def hook(_module, _args, out):
        return (out[0] + vector, *out[1:]) if isinstance(out, tuple) else out + vector
    return hook


def continued(model, ids, n, add):
    """The n likeliest tokens after a prompt, one after another. Dynamic NTK turns a cache's keys by what fitted when they were new."""
    rope = getattr(model.config, "rope_parameters", None) or {}
    model = copy.deepcopy(model)                                # some rotary tables remember the longest prompt
    for name, vector in add.items():
        model.get_submodule(name).register_forward_hook(adds(torch.tensor(vector)))
    model.generation_config.eos_token_id = None
    ids = torch.tensor([ids])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=n, pad_token_id=0,
                         use_cache=rope.get("rope_type") != "dynamic")
    return out[0, ids.shape[1]:].tolist()


def main(ask, out):
    with open(ask) as f:
        ask = json.load(f)
    if ask["gguf"]:
        try:
            import gguf  # noqa: F401, without it transformers says so in many lines
        except ImportError:
            sys.exit("missing: gguf")
    transformers.utils.logging.set_verbosity_error()
    torch.set_num_threads(ask.get("threads") or torch.get_num_threads())
    model = load(ask["model"], ask["gguf"]).eval()
    if ask["double"]:
        model = model.double()
    if ask.get("continue"):
        with torch.no_grad(), open(f"{out}/continued.json", "w") as f:
            json.dump([continued(model, ids, n, ask.get("add") or {}) for ids, n in zip(ask["prompts"], ask["continue"])], f)
    taps = Taps(model, ask["places"])
    for p, ids in enumerate(ask["prompts"]):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits
        safetensors.torch.save_file(taps.columns() | {"logits": logits[0, -1].float().clone()}, f"{out}/p{p}.safetensors")
    with open(f"{out}/peer.json", "w") as f:
        json.dump({"class": type(model).__name__, "transformers": transformers.__version__, "torch": torch.__version__}, f)


if __name__ == "__main__":
    main(*sys.argv[1:])
