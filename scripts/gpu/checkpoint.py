#!/usr/bin/env python3
"""A random Llama of any size as a bf16 safetensors checkpoint, and prompts for it, with nothing but Python's own library.

The weights are one sequence of normal numbers again and again, of a length that no row is a multiple of: fit for measuring
speed, not for its answers.
"""
import array, json, os, random

LLAMA_8B = {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 8, "vocab_size": 128256}
TINY = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 300}


def bf16(values):
    """The upper halves of fp32 numbers, as bytes."""
    words = array.array("f", values).tobytes()
    return b"".join(words[i + 2 : i + 4] for i in range(0, len(words), 4))


def shapes(c):
    """Name and shape of every weight, in the file's order."""
    d, f = c["hidden_size"], c["intermediate_size"]
    kv = d // c["num_attention_heads"] * c["num_key_value_heads"]
    yield "model.embed_tokens.weight", [c["vocab_size"], d]
    for i in range(c["num_hidden_layers"]):
        block = {"input_layernorm": [d], "self_attn.q_proj": [d, d], "self_attn.k_proj": [kv, d], "self_attn.v_proj": [kv, d],
                 "self_attn.o_proj": [d, d], "post_attention_layernorm": [d], "mlp.gate_proj": [f, d], "mlp.up_proj": [f, d],
                 "mlp.down_proj": [d, f]}
        for name, shape in block.items():
            yield f"model.layers.{i}.{name}.weight", shape
    yield "model.norm.weight", [d]
    yield "lm_head.weight", [c["vocab_size"], d]


def size(shape):
    return 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)


def make(folder, c):
    """Writes the checkpoint and returns how many bytes its weights have."""
    os.makedirs(folder, exist_ok=True)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-5,
              "rope_theta": 500000.0, "max_position_embeddings": 8192, "tie_word_embeddings": False, "attention_bias": False,
              "mlp_bias": False, "torch_dtype": "bfloat16", "initializer_range": 0.02, "bos_token_id": 0, "eos_token_id": 1, **c}
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f, indent=2)
    header, at = {}, 0
    for name, shape in shapes(c):
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size(shape)]}
        at += size(shape)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = random.Random(1)
    normal, ones = bf16([rng.gauss(0, 0.02) for _ in range(1_000_003)]), bf16([1.0] * c["hidden_size"])
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for _, shape in shapes(c):
            rest = size(shape)
            while rest:
                rest -= f.write((ones if len(shape) == 1 else normal)[:rest])
    return at


def prompts(path, count, tokens, vocab):
    """Writes prompts of so many random token ids each."""
    rng = random.Random(2)
    with open(path, "w") as f:
        for _ in range(count):
            f.write(json.dumps({"input_ids": [rng.randrange(vocab) for _ in range(tokens)]}) + "\n")
