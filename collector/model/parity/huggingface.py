#!/usr/bin/env python3
"""Computes with Hugging Face transformers what `actfleet check --parity` compares: every tap and the last logits.

    python huggingface.py ASK.json OUT

ASK is {"model": directory, "gguf": a file in it or "", "double": whether to compute in 64 bits, "prompts": [[id, ...], ...]}. Prompt i becomes
OUT/p<i>.safetensors with {site}_{layer} [T, D] for every tap and logits [V] after the last token, in float32;
OUT/peer.json says what computed it. scripts/ref makes the committed references with the same hooks.
"""
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
    """Forward hooks on every tap; columns are what they saw, by column name."""

    def __init__(self, model):
        self.seen = {}
        kind, heads = model.config.model_type, model.config.num_attention_heads
        if kind == "gpt_neox":
            for i, b in enumerate(model.gpt_neox.layers):
                self.block(i, b, [b.attention.query_key_value], b.attention.dense, [b.mlp.dense_h_to_4h], b.mlp.dense_4h_to_h, heads)
        elif kind == "gpt2":
            for i, b in enumerate(model.transformer.h):
                self.block(i, b, [b.attn.c_attn], b.attn.c_proj, [b.mlp.c_fc], b.mlp.c_proj)
        elif kind == "phi":
            for i, b in enumerate(model.model.layers):
                a = b.self_attn
                self.block(i, b, [a.q_proj, a.k_proj, a.v_proj], a.dense, [b.mlp.fc1], b.mlp.fc2)
        else:
            for i, b in enumerate(model.model.layers):
                a = b.self_attn
                self.block(i, b, [a.q_proj, a.k_proj, a.v_proj], a.o_proj, [b.mlp.gate_proj, b.mlp.up_proj], b.mlp.down_proj)

    def block(self, i, block, qkv, out, fc1, fc2, heads_outside=0):
        for name, modules in (("Wqkv", qkv), ("out_proj", [out]), ("fc1", fc1), ("fc2", [fc2]), ("resid", [block])):
            for part, module in enumerate(modules):
                self.watch(module, f"{name}_{i}", part, heads_outside if name == "Wqkv" else 0)

    def watch(self, module, name, part, heads_outside):
        def hook(_module, _args, out):
            out = out[0] if isinstance(out, tuple) else out     # a block gave a tuple in old versions
            out = out.detach()[0].float()
            if heads_outside:                                   # NeoX: [head, q|k|v, channel]
                out = out.unflatten(-1, (heads_outside, 3, -1)).transpose(-2, -3).flatten(-3)
            self.seen.setdefault(name, {})[part] = out.clone()
        module.register_forward_hook(hook)

    def columns(self):
        return {name: torch.cat([t for _, t in sorted(parts.items())], dim=-1).contiguous() for name, parts in self.seen.items()}


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


def load(folder, gguf):
    if gguf:
        how = {"gguf_file": gguf}
    else:
        how = {}
        with open(f"{folder}/config.json") as f:
            config = json.load(f)
        if config["model_type"] in ("phi-msft", "mixformer-sequential"):
            return load_msft(folder, config)
    how["dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"] = torch.float32
    return transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", local_files_only=True, **how)


def main(ask, out):
    with open(ask) as f:
        ask = json.load(f)
    if ask["gguf"]:
        try:
            import gguf  # noqa: F401, without it transformers says so in many lines
        except ImportError:
            sys.exit("missing: gguf")
    transformers.utils.logging.set_verbosity_error()
    model = load(ask["model"], ask["gguf"]).eval()
    if ask["double"]:
        model = model.double()
    taps = Taps(model)
    for p, ids in enumerate(ask["prompts"]):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits
        safetensors.torch.save_file(taps.columns() | {"logits": logits[0, -1].float().clone()}, f"{out}/p{p}.safetensors")
    with open(f"{out}/peer.json", "w") as f:
        json.dump({"class": type(model).__name__, "transformers": transformers.__version__, "torch": torch.__version__}, f)


if __name__ == "__main__":
    main(*sys.argv[1:])
