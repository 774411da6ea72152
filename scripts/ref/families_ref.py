#!/usr/bin/env python3
"""Makes tiny random checkpoints of every family but Phi, oddly configured.

    pip install torch transformers safetensors
    python scripts/ref/families_ref.py collector/model/modeltest/testdata [NAME ...]
    ACTFLEET_PYTHON=python go test ./collector/model/parity -run TestReferences[/NAME] -update

Each folder OUT/NAME holds config.json and safetensors weights as such checkpoints are downloaded; the second command adds
ref.safetensors, what transformers computes with them: eager attention, fp32, one unpadded prompt at a time.
phi-msft and mixformer have no class in transformers: their files are Hugging Face Phi weights under other names.
"""
import json
import os
import shutil
import sys
import tempfile

import safetensors.torch
import torch
import transformers

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../collector/model/parity"))
from huggingface import hf_phi  # noqa: E402, what actfleet check --parity runs

LLAMA = dict(hidden_act="silu", bos_token_id=0, eos_token_id=0, attention_dropout=0.0, use_cache=True, rms_norm_eps=1e-5)
GEMMA = dict(hidden_size=24, num_attention_heads=3, num_key_value_heads=1, head_dim=10, intermediate_size=40, vocab_size=53,
             max_position_embeddings=40, rms_norm_eps=1e-4, bos_token_id=0, eos_token_id=0)
SMALL = dict(hidden_size=15, intermediate_size=26, head_dim=6)
NEOX = dict(model_type="gpt_neox", hidden_size=30, num_attention_heads=3, num_hidden_layers=2, intermediate_size=44, vocab_size=59,
            layer_norm_eps=1e-3, max_position_embeddings=40, tie_word_embeddings=False)
GPT2 = dict(model_type="gpt2", n_embd=28, n_head=4, n_layer=3, n_positions=24, vocab_size=57, activation_function="gelu_new",
            layer_norm_epsilon=1e-4, attn_pdrop=0.1, embd_pdrop=0.1, resid_pdrop=0.1, n_ctx=24, summary_type="cls_index")
# Phi under the names of its first code; rotary_dim 6 of 8, vocab_size rounded up to 64.
MSFT = dict(n_embd=32, n_head=4, n_layer=2, n_inner=None, n_positions=32, vocab_size=61, pad_vocab_size_multiple=8, rotary_dim=6,
            activation_function="gelu_new", layer_norm_epsilon=1e-4, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0,
            tie_word_embeddings=False, flash_rotary=False, fused_dense=False)
TINY = dict(hidden_size=20, num_attention_heads=4, num_key_value_heads=2, intermediate_size=26, vocab_size=43, num_hidden_layers=2,
            max_position_embeddings=40, bos_token_id=0, eos_token_id=0, pad_token_id=0, tie_word_embeddings=False)

CONFIGS = {
    # head_dim is not hidden/heads, biases everywhere, llama3 rotary, bf16 in two shards.
    "llama-3": dict(LLAMA, model_type="llama", hidden_size=36, num_attention_heads=6, num_key_value_heads=2, head_dim=10, num_hidden_layers=3,
                    intermediate_size=52, vocab_size=67, max_position_embeddings=64, attention_bias=True, mlp_bias=True, torch_dtype="bfloat16",
                    tie_word_embeddings=False, rope_theta=50.0, rope_scaling=dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0,
                    high_freq_factor=4.0, original_max_position_embeddings=32)),
    # yarn in the older spelling, one matrix for embedding and output, rotary tables in the file.
    "llama-yarn": dict(LLAMA, model_type="llama", hidden_size=32, num_attention_heads=4, num_hidden_layers=2, intermediate_size=40, vocab_size=43,
                       max_position_embeddings=128, tie_word_embeddings=True, pretraining_tp=1, rope_theta=100.0,
                       rope_scaling=dict(type="yarn", factor=4.0, original_max_position_embeddings=32, beta_fast=1.0, beta_slow=0.1)),
    # the newer spelling, linear; window shorter than the prompt.
    "mistral": dict(LLAMA, model_type="mistral", hidden_size=40, num_attention_heads=4, num_key_value_heads=2, head_dim=6, num_hidden_layers=2,
                    intermediate_size=56, vocab_size=47, max_position_embeddings=64, sliding_window=5, tie_word_embeddings=False,
                    rope_parameters=dict(rope_type="linear", factor=3.0, rope_theta=200.0)),
    "qwen2": dict(LLAMA, model_type="qwen2", hidden_size=36, num_attention_heads=6, num_key_value_heads=3, num_hidden_layers=3,
                  intermediate_size=44, vocab_size=51, max_position_embeddings=48, tie_word_embeddings=True, use_sliding_window=True,
                  sliding_window=4, max_window_layers=1, rope_theta=1000.0),
    "qwen3": dict(LLAMA, model_type="qwen3", hidden_size=28, num_attention_heads=4, num_key_value_heads=2, head_dim=14, num_hidden_layers=3,
                  intermediate_size=44, vocab_size=51, max_position_embeddings=48, tie_word_embeddings=False, use_sliding_window=True,
                  sliding_window=3, layer_types=["full_attention", "sliding_attention", "full_attention"], max_window_layers=0,
                  attention_bias=True, rope_theta=1000.0),
    # an odd number of rotary channels: 3 of 10; hidden_act absent.
    "neox-parallel": dict(NEOX, rotary_pct=0.3, rotary_emb_base=300),
    # one after the other, no biases in attention, buffers in the file.
    "neox-sequential": dict(NEOX, use_parallel_residual=False, attention_bias=False,
                            rope_parameters=dict(rope_type="default", rope_theta=70.0, partial_rotary_factor=0.61)),
    "gpt2": dict(GPT2, n_inner=50, scale_attn_by_inverse_layer_idx=True),
    # names without "transformer.", causal masks in the file, no scaling of scores.
    "gpt2-bare": dict(GPT2, n_layer=2, scale_attn_weights=False),
    "gemma": dict(GEMMA, model_type="gemma", num_hidden_layers=2, hidden_act="gelu", hidden_activation=None, torch_dtype="bfloat16", rope_theta=500.0),
    # a cap low enough to bend, the other absent, a query scale that is not head_dim.
    "gemma2": dict(GEMMA, model_type="gemma2", num_hidden_layers=3, hidden_activation="gelu_pytorch_tanh", query_pre_attn_scalar=7,
                   sliding_window=5, attn_logit_softcapping=2.0, rope_theta=500.0, attention_bias=True),
    # six windowed blocks and a full one with another base, linearly scaled.
    "gemma3": dict(GEMMA | SMALL, model_type="gemma3_text", num_hidden_layers=7, hidden_activation="gelu_pytorch_tanh", query_pre_attn_scalar=9,
                   sliding_window=4, final_logit_softcapping=2.5, rope_theta=900.0, rope_local_base_freq=60.0,
                   rope_scaling=dict(rope_type="linear", factor=4.0)),
    "phi-msft": dict(MSFT, model_type="phi-msft", n_head_kv=2),
    "mixformer": dict(MSFT, model_type="mixformer-sequential", architecture=dict(block_cls="parallel", mixer={}, mlp=dict(mlp_cls="mlp"))),
    # fused projections, longrope whose limit the longest prompt passes, three quarters of a head turned, a window.
    "phi3": dict(TINY, model_type="phi3", hidden_size=32, rms_norm_eps=1e-4, hidden_act="silu", max_position_embeddings=64, original_max_position_embeddings=12,
                 sliding_window=9, partial_rotary_factor=0.75, rope_theta=300.0, tie_word_embeddings=True,
                 rope_scaling=dict(type="longrope", short_factor=[1.0, 1.25, 1.5], long_factor=[1.5, 2.5, 4.0])),
    # dynamic NTK in a plain Llama: the longest prompt is longer than its positions.
    "llama-dynamic": dict(TINY, model_type="llama", rms_norm_eps=1e-4, hidden_act="silu", max_position_embeddings=8, rope_theta=100.0, head_dim=6,
                          rope_scaling=dict(rope_type="dynamic", factor=3.0)),
    "olmo2": dict(TINY, model_type="olmo2", head_dim=6, rms_norm_eps=1e-3, hidden_act="silu", attention_bias=True, rope_theta=400.0),
    "olmo3": dict(TINY, model_type="olmo3", num_hidden_layers=4, intermediate_size=18, rms_norm_eps=1e-3, hidden_act="silu", sliding_window=5, head_dim=6,
                  rope_theta=500000.0, rope_scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16, beta_fast=4.0, beta_slow=0.5, attention_factor=1.2)),
    "granite": dict(TINY, model_type="granite", head_dim=6, rms_norm_eps=1e-4, hidden_act="silu", attention_bias=True, mlp_bias=True, embedding_multiplier=3.0,
                    residual_multiplier=0.35, attention_multiplier=0.21, logits_scaling=5.0, tie_word_embeddings=True, rope_theta=200.0),
    "starcoder2": dict(TINY, model_type="starcoder2", num_key_value_heads=1, norm_epsilon=1e-3, hidden_act="gelu_pytorch_tanh", sliding_window=6, use_bias=True,
                       tie_word_embeddings=True, rope_theta=900.0, hidden_size=24),
    "stablelm": dict(TINY, model_type="stablelm", hidden_size=32, layer_norm_eps=1e-3, hidden_act="silu", use_qkv_bias=True, partial_rotary_factor=0.6, rope_theta=70.0),
    # one norm for attention and MLP, and a norm for each head.
    "stablelm-parallel": dict(TINY, model_type="stablelm", hidden_size=32, layer_norm_eps=1e-3, hidden_act="silu", use_parallel_residual=True, qk_layernorm=True,
                              rope_parameters=dict(rope_type="default", rope_theta=90.0, partial_rotary_factor=0.5)),
    "smollm3": dict(TINY, model_type="smollm3", num_hidden_layers=3, head_dim=6, rms_norm_eps=1e-4, hidden_act="silu", no_rope_layers=[1, 0, 1], use_sliding_window=True,
                    sliding_window=5, rope_theta=300.0, attention_bias=True, mlp_bias=True),
    "opt": dict(model_type="opt", hidden_size=24, num_attention_heads=4, ffn_dim=26, vocab_size=43, num_hidden_layers=2, max_position_embeddings=20,
                activation_function="relu", dropout=0.1, word_embed_proj_dim=24, pad_token_id=1, bos_token_id=2, eos_token_id=2),
    # falcon-7b's block: one norm, all queries share a key head.
    "falcon": dict(model_type="falcon", hidden_size=24, num_attention_heads=4, num_hidden_layers=2, vocab_size=43, layer_norm_epsilon=1e-3, ffn_hidden_size=30,
                   multi_query=True, parallel_attn=True, bias=False, alibi=False, new_decoder_architecture=False, rope_theta=300.0, bos_token_id=0, eos_token_id=0),
    "falcon-40b": dict(model_type="falcon", hidden_size=24, num_attention_heads=6, num_kv_heads=2, num_hidden_layers=2, vocab_size=43, layer_norm_epsilon=1e-3,
                       bias=True, alibi=False, new_decoder_architecture=True, rope_theta=300.0, bos_token_id=0, eos_token_id=0),
    # one after the other, ALiBi for a number of heads that is no power of two.
    "falcon-rw": dict(model_type="falcon", hidden_size=24, num_attention_heads=6, num_hidden_layers=2, vocab_size=43, layer_norm_epsilon=1e-3, multi_query=False,
                      parallel_attn=False, bias=True, alibi=True, bos_token_id=0, eos_token_id=0),
    "gptj": dict(model_type="gptj", n_embd=30, n_head=3, n_layer=2, n_positions=24, vocab_size=43, rotary_dim=6, n_inner=30, activation_function="gelu_new",
                 layer_norm_epsilon=1e-3, bos_token_id=0, eos_token_id=0),
    "bloom": dict(model_type="bloom", hidden_size=18, n_head=3, n_layer=2, vocab_size=43, layer_norm_epsilon=1e-3, bos_token_id=0, eos_token_id=0, pad_token_id=0),
    "cohere2": dict(TINY, model_type="cohere2", num_hidden_layers=3, hidden_size=24, layer_norm_eps=1e-3, hidden_act="silu", logit_scale=0.3, sliding_window=5,
                    sliding_window_pattern=3, rope_theta=300.0, attention_bias=True, tie_word_embeddings=True),
    "glm4": dict(TINY, model_type="glm4", head_dim=12, rms_norm_eps=1e-4, hidden_act="silu", attention_bias=True, rope_theta=300.0),
    "mixtral": dict(TINY, model_type="mixtral", head_dim=6, rms_norm_eps=1e-4, hidden_act="silu", num_local_experts=5, num_experts_per_tok=2, intermediate_size=14,
                    sliding_window=6, rope_theta=300.0),
    # a dense block first, shared experts behind a gate, weights of the chosen not normed.
    "qwen2-moe": dict(TINY, model_type="qwen2_moe", num_hidden_layers=3, rms_norm_eps=1e-4, hidden_act="silu", num_experts=6, num_experts_per_tok=3, moe_intermediate_size=8,
                      shared_expert_intermediate_size=12, norm_topk_prob=False, mlp_only_layers=[1], rope_theta=300.0, hidden_size=24),
    "qwen3-moe": dict(TINY, model_type="qwen3_moe", num_hidden_layers=2, head_dim=6, rms_norm_eps=1e-4, hidden_act="silu", num_experts=6, num_experts_per_tok=3,
                      moe_intermediate_size=10, norm_topk_prob=True, decoder_sparse_step=2, rope_theta=300.0),
    "olmoe": dict(TINY, model_type="olmoe", rms_norm_eps=1e-3, hidden_act="silu", num_experts=7, num_experts_per_tok=3, intermediate_size=10, clip_qkv=1.5, rope_theta=300.0, hidden_size=24),
    "gpt-oss": dict(TINY, model_type="gpt_oss", head_dim=6, rms_norm_eps=1e-4, num_local_experts=4, num_experts_per_tok=2, intermediate_size=12, sliding_window=5, max_position_embeddings=128,
                    rope_theta=300.0, swiglu_limit=1.5, rope_scaling=dict(rope_type="yarn", factor=4.0, beta_fast=4.0, beta_slow=1.0, truncate=False, original_max_position_embeddings=32)),
    "deepseek-v2": dict(TINY, model_type="deepseek_v2", num_key_value_heads=None, rms_norm_eps=1e-3, hidden_act="silu", q_lora_rank=None, kv_lora_rank=8, qk_nope_head_dim=6,
                        qk_rope_head_dim=4, v_head_dim=7, first_k_dense_replace=1, n_routed_experts=6, n_shared_experts=2, moe_intermediate_size=6, num_experts_per_tok=2,
                        routed_scaling_factor=1.7, topk_method="group_limited_greedy", n_group=3, topk_group=2, rope_theta=300.0),
    "deepseek-v3": dict(TINY, model_type="deepseek_v3", num_key_value_heads=None, rms_norm_eps=1e-3, hidden_act="silu", q_lora_rank=10, kv_lora_rank=8, qk_nope_head_dim=6,
                        qk_rope_head_dim=4, v_head_dim=7, first_k_dense_replace=1, n_routed_experts=8, n_shared_experts=1, moe_intermediate_size=6, num_experts_per_tok=3,
                        routed_scaling_factor=2.5, norm_topk_prob=True, n_group=4, topk_group=2, attention_bias=True, rope_theta=300.0,
                        rope_scaling=dict(type="yarn", factor=4.0, mscale=1.0, mscale_all_dim=0.8, beta_fast=4.0, beta_slow=1.0, original_max_position_embeddings=16)),
    "glm": dict(TINY, model_type="glm", head_dim=12, rms_norm_eps=1e-4, hidden_act="silu", attention_bias=False, rope_theta=300.0, partial_rotary_factor=0.34),
    # a Llama whose MLP has no gate.
    "arcee": dict(TINY, model_type="arcee", head_dim=6, rms_norm_eps=1e-4, hidden_act="relu2", attention_bias=True, mlp_bias=True, rope_theta=300.0),
}


def fill(model, seed, gemma):
    """Weights in which nothing is zero, one or symmetric, so that a forgotten bias or a swapped pair shows."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in sorted(model.named_parameters()):
        noise = torch.randn(p.shape, generator=generator)
        if name.endswith("bias"):
            noise *= 0.2
        elif p.dim() == 1:
            noise = 0.3 * noise + (0 if gemma else 1)
        elif "embed" not in name and "wte" not in name:
            fan = p.shape[0] if ".c_" in name else p.shape[1]
            noise *= 1.5 / fan ** 0.5
        p.data = noise
    for name, b in sorted(model.named_buffers()):
        if name.endswith("e_score_correction_bias"):
            b.data = 0.2 * torch.randn(b.shape, generator=generator)


def msft_names(weights, layers, old):
    """Renames Phi: q, k, v in one; the older generation numbers the embedding as layer 0."""
    out = {}
    block = (lambda i: f"layers.{i + 1}") if old else (lambda i: f"transformer.h.{i}")
    head = f"layers.{layers + 1}" if old else "lm_head"
    for end in ("weight", "bias"):
        for i in range(layers):
            at, to = f"model.layers.{i}", block(i)
            out[f"{to}.mixer.Wqkv.{end}"] = torch.cat([weights.pop(f"{at}.self_attn.{x}_proj.{end}") for x in "qkv"])
            for a, b in (("input_layernorm", "ln"), ("self_attn.dense", "mixer.out_proj"), ("mlp.fc1", "mlp.fc1"), ("mlp.fc2", "mlp.fc2")):
                out[f"{to}.{b}.{end}"] = weights.pop(f"{at}.{a}.{end}")
        out[f"{head}.ln.{end}"] = weights.pop(f"model.final_layernorm.{end}")
        out[f"{head}.linear.{end}"] = weights.pop(f"lm_head.{end}")
    out["layers.0.wte.weight" if old else "transformer.embd.wte.weight"] = weights.pop("model.embed_tokens.weight")
    assert not weights, weights.keys()
    return out


def as_downloaded(name, weights, config):
    """What files of this kind hold beside or instead of what transformers saves today."""
    if name == "gpt2-bare":
        weights = {key.removeprefix("transformer."): t for key, t in weights.items()}
        for i in range(config["n_layer"]):
            weights[f"h.{i}.attn.bias"] = torch.ones(1, 1, 24, 24).tril()
            weights[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    elif name == "neox-sequential":
        for i in range(config["num_hidden_layers"]):
            weights[f"gpt_neox.layers.{i}.attention.bias"] = torch.ones(1, 1, 8, 8).tril().bool()
            weights[f"gpt_neox.layers.{i}.attention.masked_bias"] = torch.tensor(-1e9)
            weights[f"gpt_neox.layers.{i}.attention.rotary_emb.inv_freq"] = torch.ones(3)
    elif name == "llama-yarn":
        for i in range(config["num_hidden_layers"]):
            weights[f"model.layers.{i}.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    elif name in ("phi-msft", "mixformer"):
        weights = msft_names(weights, config["n_layer"], old=name == "mixformer")
    return weights


def save(folder, weights, shards):
    if shards == 1:
        safetensors.torch.save_file(weights, f"{folder}/model.safetensors", {"format": "pt"})
        return
    names, where = sorted(weights), {}
    for i in range(shards):
        part, file = names[i::shards], f"model-{i + 1:05}-of-{shards:05}.safetensors"
        safetensors.torch.save_file({n: weights[n] for n in part}, f"{folder}/{file}", {"format": "pt"})
        where.update({n: file for n in part})
    with open(f"{folder}/model.safetensors.index.json", "w") as f:
        json.dump({"metadata": {}, "weight_map": where}, f, indent=1, sort_keys=True)


def write_config(folder, config):
    with open(f"{folder}/config.json", "w") as f:
        json.dump(config, f, indent=2, sort_keys=True)
        f.write("\n")


def make(folder, name, config, seed):
    """Writes the checkpoint."""
    msft = name in ("phi-msft", "mixformer")
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as hf:
        write_config(hf, hf_phi(config) if msft else config)
        model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.from_pretrained(hf))
        fill(model, seed, gemma=name.startswith("gemma"))
        if config.get("torch_dtype") == "bfloat16":
            model = model.to(torch.bfloat16)
        with tempfile.TemporaryDirectory() as saved:
            model.save_pretrained(saved)
            weights = safetensors.torch.load_file(f"{saved}/model.safetensors")
        write_config(folder, config)
        save(folder, as_downloaded(name, dict(weights), config), 2 if name == "llama-3" else 1)


def main(out, *names):
    torch.set_num_threads(1)
    for seed, (name, config) in enumerate(CONFIGS.items(), start=11):
        if names and name not in names:
            continue
        folder = f"{out}/{name}"
        shutil.rmtree(folder, ignore_errors=True)
        make(folder, name, config, seed)
        print(name, sum(os.path.getsize(f"{folder}/{f}") for f in os.listdir(folder)), "bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
