#!/usr/bin/env python3
"""Makes tiny random Phi checkpoints.

    pip install torch transformers safetensors
    python scripts/ref/phi_ref.py collector/model/modeltest/testdata
    ACTFLEET_PYTHON=python go test ./collector/model/parity -run TestReferences/phi- -update

Each folder OUT/phi-{a,b,c} holds config.json and model.safetensors; the second command adds ref.safetensors, what
transformers computes with them: eager attention, fp32, one unpadded prompt at a time.
"""
import json
import os
import sys

import safetensors.torch
import torch
import transformers

# The settings in which released Phi checkpoints do not differ, and tests must.
COMMON = dict(architectures=["PhiForCausalLM"], model_type="phi", hidden_act="gelu_new", tie_word_embeddings=False,
              attention_dropout=0.0, embd_pdrop=0.0, resid_pdrop=0.0, bos_token_id=0, eos_token_id=0, use_cache=True)
CONFIGS = {
    # Fewer key than query heads; the older spelling of the rotary settings.
    "phi-a": dict(COMMON, hidden_size=48, num_attention_heads=6, num_key_value_heads=2, num_hidden_layers=3, vocab_size=97,
                  intermediate_size=192, max_position_embeddings=64, partial_rotary_factor=0.5, rope_theta=10000.0,
                  rope_scaling=None, qk_layernorm=False, layer_norm_eps=1e-5, torch_dtype="float32"),
    # Norm of q and k; 10 x 0.45 = 4.5 is truncated to 4; fc1 is not 4 x hidden; the newer spelling.
    "phi-b": dict(COMMON, hidden_size=40, num_attention_heads=4, num_key_value_heads=4, num_hidden_layers=2, vocab_size=61,
                  intermediate_size=72, max_position_embeddings=32, qk_layernorm=True, layer_norm_eps=1e-3, dtype="float32",
                  rope_parameters=dict(rope_type="default", rope_theta=500.0, partial_rotary_factor=0.45)),
    # 16-bit weights; num_key_value_heads is absent or null in many files and then is num_attention_heads.
    "phi-c": dict(COMMON, hidden_size=64, num_attention_heads=4, num_key_value_heads=None, num_hidden_layers=2, vocab_size=320,
                  intermediate_size=256, max_position_embeddings=128, partial_rotary_factor=0.4, rope_theta=25000.0,
                  rope_scaling=None, qk_layernorm=False, layer_norm_eps=1e-5, torch_dtype="float16"),
}


def write_checkpoint(folder, config, seed):
    """Weights in which nothing is zero, one or symmetric, so that a forgotten bias or a swapped pair shows."""
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/config.json", "w") as f:
        json.dump(config, f, indent=2, sort_keys=True)
        f.write("\n")
    half = "float16" in (config.get("torch_dtype"), config.get("dtype"))
    model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(folder))
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, p in sorted(model.state_dict().items()):
        noise = torch.randn(p.shape, generator=generator)
        if name.endswith("bias"):
            value = 0.2 * noise
        elif "layernorm" in name:
            value = 1 + 0.3 * noise
        elif "embed_tokens" in name:
            value = noise
        else:
            value = noise * 1.5 / p.shape[-1] ** 0.5
        weights[name] = value.half() if half else value
    safetensors.torch.save_file(weights, f"{folder}/model.safetensors", {"format": "pt"})


def main(out):
    torch.set_num_threads(1)
    for seed, (name, config) in enumerate(CONFIGS.items(), start=1):
        write_checkpoint(f"{out}/{name}", config, seed)
        print(name, {f: os.path.getsize(f"{out}/{name}/{f}") for f in sorted(os.listdir(f"{out}/{name}"))})


if __name__ == "__main__":
    main(sys.argv[1])
