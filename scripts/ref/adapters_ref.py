"""PEFT's own activations with adapters of every kind on the tiny checkpoints of modeltest/testdata.

    python scripts/ref/adapters_ref.py CHECKPOINTS OUT FAMILY...

makes OUT/FAMILY-KIND for each kind that PEFT can put on the family's layers: the folder that save_pretrained writes, with
random weights, and ref.safetensors: ids, the last position's logits, what every block gives (resid_<layer>; final after
the last norm), and what each adapted module gives (m/<module>). Needs torch, transformers, peft and safetensors.
"""
import json
import os
import sys
import zlib

import torch
from peft import (AdaLoraConfig, BeftConfig, IA3Config, LoHaConfig, LoKrConfig, LoraConfig, OFTConfig, VeraConfig, get_peft_model)
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../collector/model/parity"))
from huggingface import kernels  # noqa: E402, what actfleet check --parity runs

PROMPT = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7]


def load(checkpoint):
    with open(os.path.join(checkpoint, "config.json")) as f:
        how = kernels(json.load(f))
    return AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32, **how).eval()


def endings(model):
    """The last names of the linear maps inside blocks."""
    found = set()
    for name, module in model.named_modules():
        if isinstance(module, (torch.nn.Linear, Conv1D)) and any(p.isdigit() for p in name.split(".")):
            found.add(name.split(".")[-1])
    return sorted(found)


def last(ends):
    """Those that give to the residual stream."""
    return [e for e in ends if e in ("down_proj", "fc2", "dense_4h_to_h", "c_proj", "fc_out")]


def first(ends):
    return [e for e in ends if e in ("q_proj", "c_attn", "query_key_value", "qkv_proj", "q_a_proj", "v_proj")]


def configs(ends):
    down, q = last(ends), first(ends)
    yield "lora", LoraConfig(r=2, lora_alpha=6, target_modules=ends)
    yield "rslora", LoraConfig(r=2, lora_alpha=3, target_modules=ends, use_rslora=True, rank_pattern={q[0]: 3}, alpha_pattern={r"layers?\.1\..*": 5, q[0]: 2},
                               lora_bias=True)
    yield "lora-bias", LoraConfig(r=1, lora_alpha=2, target_modules=q, bias="all", layers_to_transform=[1])
    yield "lora-save", LoraConfig(r=1, lora_alpha=2, target_modules=q, modules_to_save=["lm_head", "embed_out", "wte", "embed_tokens", "embed_in"])
    yield "dora", LoraConfig(r=2, lora_alpha=6, target_modules=ends, use_dora=True)
    yield "ia3", IA3Config(target_modules=ends, feedforward_modules=[])
    yield "ia3-ff", IA3Config(target_modules=q + down, feedforward_modules=down)
    yield "loha", LoHaConfig(r=2, alpha=3, target_modules=ends, alpha_pattern={q[0]: 1})
    yield "lokr", LoKrConfig(r=2, alpha=3, target_modules=ends)
    yield "lokr-both", LoKrConfig(r=1, alpha=3, target_modules=ends, decompose_both=True, decompose_factor=4)
    yield "oft", OFTConfig(oft_block_size=4, target_modules=ends)
    yield "oft-cayley", OFTConfig(oft_block_size=4, target_modules=ends, use_cayley_neumann=False, coft=True, eps=0.9)
    yield "oft-shared", OFTConfig(oft_block_size=4, target_modules=ends, block_share=True, num_cayley_neumann_terms=3)
    yield "adalora", AdaLoraConfig(init_r=3, target_r=2, lora_alpha=5, target_modules=ends, total_step=10)
    yield "vera", VeraConfig(r=3, target_modules=ends)
    yield "beft", BeftConfig(target_modules=ends)


def randomise(model, seed):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters(), key=lambda item: item[0]):
            if not p.requires_grad:
                continue
            noise = torch.randn(p.shape, generator=g)
            if "ia3_l" in name or "magnitude" in name:
                p.mul_(1 + 0.3 * noise)
            elif "oft_R" in name or "original" in name or "bias" in name or "modules_to_save" in name:
                p.add_(0.1 * noise)
            else:
                p.copy_(0.3 * noise)


def activations(model, modules):
    seen = {}
    hooks = []
    for name, module in model.named_modules():
        if name in modules:
            key = "m/" + name.removeprefix("base_model.model.")
            hooks.append(module.register_forward_hook(lambda _m, _i, out, key=key: seen.__setitem__(key, out.detach().reshape(-1, out.shape[-1]).clone())))
    ids = torch.tensor([PROMPT])
    with torch.no_grad():
        out = model(input_ids=ids, output_hidden_states=True, use_cache=False)
    for h in hooks:
        h.remove()
    states = out.hidden_states
    for i in range(1, len(states) - 1):
        seen[f"resid_{i - 1}"] = states[i][0].contiguous()
    seen["final"] = states[-1][0].contiguous()
    seen["logits"] = out.logits[0, -1].contiguous()
    seen["ids"] = ids[0].to(torch.int32)
    return seen


def make(checkpoint, out, family, kind, config):
    base = load(checkpoint)
    names = {n.split(".")[-1] for n, _ in base.named_modules()}
    if config.modules_to_save:
        config.modules_to_save = [m for m in config.modules_to_save if m in names]
    before = activations(base, set())["logits"]
    model = get_peft_model(base, config).eval()
    randomise(model, zlib.crc32(f"{family}-{kind}".encode()))
    adapted = {n for n, m in model.named_modules() if hasattr(m, "base_layer")}
    ref = activations(model, adapted)
    if torch.allclose(ref["logits"], before):
        raise SystemExit(f"{family}-{kind} changes nothing")
    folder = os.path.join(out, f"{family}-{kind}")
    model.save_pretrained(folder)
    for extra in ("README.md",):
        if os.path.exists(os.path.join(folder, extra)):
            os.remove(os.path.join(folder, extra))
    path = os.path.join(folder, "adapter_config.json")
    with open(path) as f:
        text = json.load(f)
    text["base_model_name_or_path"] = family
    for key in ("target_modules", "modules_to_save"):  # sets are saved in no order
        if isinstance(text.get(key), list):
            text[key] = sorted(text[key])
    with open(path, "w") as f:
        json.dump(text, f, indent=2, sort_keys=True)
        f.write("\n")
    save_file(ref, os.path.join(folder, "ref.safetensors"))


def main():
    checkpoints, out, families = sys.argv[1], sys.argv[2], sys.argv[3:]
    for family in families:
        checkpoint = os.path.join(checkpoints, family)
        ends = endings(load(checkpoint))
        for kind, config in configs(ends):
            try:
                make(checkpoint, out, family, kind, config)
            except (TypeError, ValueError, RuntimeError) as err:
                print(f"{family}-{kind}: PEFT cannot: {str(err).splitlines()[0][:150]}", file=sys.stderr)


main()
