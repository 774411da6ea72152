package arch

import (
	"fmt"
	"maps"
	"strings"
)

// keyHead gives the heads of llamaSizes one key head.
const keyHead = llamaSizes + `, "num_key_value_heads": 1`

// without is a table's weights but those whose lines have one of the words.
func without(weights string, words ...string) string {
	var b strings.Builder
	for line := range strings.Lines(weights) {
		drop := false
		for _, w := range words {
			drop = drop || strings.Contains(line, w)
		}
		if !drop {
			b.WriteString(line)
		}
	}
	return b.String()
}

const untiedHead = "\nlm_head.weight 11 8"

// qkvBiases are those of queries of 8 channels, and keys and values of 4.
const qkvBiases = `
	model.layers.#.self_attn.q_proj.bias 8
	model.layers.#.self_attn.k_proj.bias 4
	model.layers.#.self_attn.v_proj.bias 4`

// gateUp is llamaWeights with one projection for gate and up.
var gateUp = without(llamaWeights, "gate_proj", "up_proj") + "\nmodel.layers.#.mlp.gate_up_proj.weight 24 8"

// olmoWeights are those of blocks that norm what attention and MLP give.
var olmoWeights = without(llamaWeights, "input_layernorm") + untiedHead + `
	model.layers.#.post_feedforward_layernorm.weight 8
	model.layers.#.self_attn.q_norm.weight 8
	model.layers.#.self_attn.k_norm.weight 4`

// layerNorms gives the norms of llamaWeights biases.
var layerNorms = strings.NewReplacer("input_layernorm.weight 8", "input_layernorm.weight 8\nmodel.layers.#.input_layernorm.bias 8",
	"post_attention_layernorm.weight 8", "post_attention_layernorm.weight 8\nmodel.layers.#.post_attention_layernorm.bias 8",
	"model.norm.weight 8", "model.norm.weight 8\nmodel.norm.bias 8").Replace

const headNormWeights = `
	model.layers.#.self_attn.q_layernorm.norms.0.weight 4
	model.layers.#.self_attn.q_layernorm.norms.1.weight 4
	model.layers.#.self_attn.k_layernorm.norms.0.weight 4`

const falconSizes = `"vocab_size": 11, "hidden_size": 8, "ffn_hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 16`

const falconMaps = `
	transformer.word_embeddings.weight 11 8
	transformer.h.#.self_attention.dense.weight 8 8
	transformer.h.#.mlp.dense_h_to_4h.weight 12 8
	transformer.h.#.mlp.dense_4h_to_h.weight 8 12`

// denseShapes are the families and variants of this file.
func denseShapes() map[string]shapes {
	return map[string]shapes{
		"phi3":    {keyHead, without(gateUp, "q_proj", "k_proj", "v_proj") + untiedHead + "\nmodel.layers.#.self_attn.qkv_proj.weight 16 8", 16, 8, 24, llamaBuffer, false, 0, 0},
		"olmo2":   {keyHead + `, "attention_bias": true`, olmoWeights + qkvBiases + "\nmodel.layers.#.self_attn.o_proj.bias 8", 16, 8, 24, llamaBuffer, false, 0, 0},
		"olmo3":   {keyHead + `, "sliding_window": 3`, olmoWeights, 16, 8, 24, llamaBuffer, false, 0, 0},
		"granite": {keyHead + `, "tie_word_embeddings": true, "residual_multiplier": 0.5`, llamaWeights, 16, 8, 24, llamaBuffer, false, 0, 0},
		"starcoder2": {keyHead + `, "use_bias": false`, layerNorms(without(llamaWeights, "mlp")) + `
			model.layers.#.mlp.c_fc.weight 12 8
			model.layers.#.mlp.c_proj.weight 8 12`, 16, 8, 12, llamaBuffer, false, 0, 0},
		"stablelm": {keyHead + `, "use_qkv_bias": true, "partial_rotary_factor": 0.5`, layerNorms(llamaWeights) + untiedHead + qkvBiases, 16, 8, 24, llamaBuffer, false, 0, 0},
		"stablelm: side by side": {keyHead + `, "use_parallel_residual": true, "qk_layernorm": true, "partial_rotary_factor": 0.5`,
			without(layerNorms(llamaWeights), "post_attention") + untiedHead + headNormWeights, 16, 8, 24, "", true, 0, 0},
		"smollm3": {keyHead + `, "no_rope_layers": [1, 0]`, llamaWeights, 16, 8, 24, llamaBuffer, false, 0, 0},
		"opt": {`"vocab_size": 11, "hidden_size": 8, "ffn_dim": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 16`,
			"model.decoder.embed_tokens.weight 11 8\nmodel.decoder.embed_positions.weight 18 8" +
				norms("model.decoder.final_layer_norm", "model.decoder.layers.#.self_attn_layer_norm", "model.decoder.layers.#.final_layer_norm") +
				linear("model.decoder.layers.#.self_attn.q_proj", 8, 8) + linear("model.decoder.layers.#.self_attn.k_proj", 8, 8) +
				linear("model.decoder.layers.#.self_attn.v_proj", 8, 8) + linear("model.decoder.layers.#.self_attn.out_proj", 8, 8) +
				linear("model.decoder.layers.#.fc1", 12, 8) + linear("model.decoder.layers.#.fc2", 8, 12), 24, 8, 12, "", false, 0, 0},
		"opt: norms without weights": {`"vocab_size": 11, "hidden_size": 8, "ffn_dim": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 16,
			"enable_bias": false, "layer_norm_elementwise_affine": false, "_remove_final_layer_norm": true`, `
			model.decoder.embed_tokens.weight 11 8
			model.decoder.embed_positions.weight 18 8
			model.decoder.layers.#.self_attn.q_proj.weight 8 8
			model.decoder.layers.#.self_attn.k_proj.weight 8 8
			model.decoder.layers.#.self_attn.v_proj.weight 8 8
			model.decoder.layers.#.self_attn.out_proj.weight 8 8
			model.decoder.layers.#.fc1.weight 12 8
			model.decoder.layers.#.fc2.weight 8 12`, 24, 8, 12, "", false, 0, 0},
		"falcon": {falconSizes, falconMaps + norms("transformer.ln_f", "transformer.h.#.input_layernorm") +
			"\ntransformer.h.#.self_attention.query_key_value.weight 16 8", 16, 8, 12, "transformer.h.0.self_attention.maybe_rotary.inv_freq", true, 0, 0},
		"falcon: two norms": {falconSizes + `, "new_decoder_architecture": true, "num_kv_heads": 1`, falconMaps + norms("transformer.ln_f", "transformer.h.#.ln_attn", "transformer.h.#.ln_mlp") +
			"\ntransformer.h.#.self_attention.query_key_value.weight 16 8", 16, 8, 12, "", true, 0, 0},
		"falcon: one after the other": {falconSizes + `, "parallel_attn": false, "multi_query": false, "alibi": true`, falconMaps +
			norms("transformer.ln_f", "transformer.h.#.input_layernorm", "transformer.h.#.post_attention_layernorm") +
			"\ntransformer.h.#.self_attention.query_key_value.weight 24 8", 24, 8, 12, "", false, 0, 0},
		"gptj": {`"vocab_size": 11, "n_positions": 16, "n_embd": 8, "n_layer": 2, "n_head": 2, "n_inner": 12, "rotary_dim": 2`,
			"transformer.wte.weight 11 8" + linear("lm_head", 11, 8) + norms("transformer.ln_f", "transformer.h.#.ln_1") +
				linear("transformer.h.#.mlp.fc_in", 12, 8) + linear("transformer.h.#.mlp.fc_out", 8, 12) + `
				transformer.h.#.attn.q_proj.weight 8 8
				transformer.h.#.attn.k_proj.weight 8 8
				transformer.h.#.attn.v_proj.weight 8 8
				transformer.h.#.attn.out_proj.weight 8 8`, 24, 8, 12, "transformer.h.0.attn.masked_bias", true, 0, 0},
		"cohere2": {keyHead + `, "sliding_window": 3`, without(llamaWeights, "post_attention"), 16, 8, 24, llamaBuffer, true, 0, 0},
		"arcee": {keyHead + `, "mlp_bias": true`, without(llamaWeights, "mlp") + untiedHead + linear("model.layers.#.mlp.up_proj", 12, 8) +
			linear("model.layers.#.mlp.down_proj", 8, 12), 16, 8, 12, llamaBuffer, false, 0, 0},
		"glm": {keyHead + `, "head_dim": 4`, gateUp + untiedHead + qkvBiases, 16, 8, 24, llamaBuffer, false, 0, 0},
		"glm4": {keyHead + `, "head_dim": 4`, gateUp + untiedHead + qkvBiases + `
			model.layers.#.post_self_attn_layernorm.weight 8
			model.layers.#.post_mlp_layernorm.weight 8`, 16, 8, 24, llamaBuffer, false, 0, 0},
	}
}

// bloom's MLP always has four times the channels.
var bloomShapes = shapes{`"vocab_size": 11, "hidden_size": 8, "n_layer": 2, "n_head": 2`, "transformer.word_embeddings.weight 11 8" +
	norms("transformer.word_embeddings_layernorm", "transformer.ln_f", "transformer.h.#.input_layernorm", "transformer.h.#.post_attention_layernorm") +
	linear("transformer.h.#.self_attention.query_key_value", 24, 8) + linear("transformer.h.#.self_attention.dense", 8, 8) +
	linear("transformer.h.#.mlp.dense_h_to_4h", 32, 8) + linear("transformer.h.#.mlp.dense_4h_to_h", 8, 32), 24, 8, 32, "", false, 0, 0}

// mixed is a table's weights with experts 0 and 1 in the MLP's place, under names that begin with each.
func mixed(weights, router, each, gate, up, down string, inner int) string {
	out := without(weights, "mlp") + fmt.Sprintf("\nmodel.layers.#.%s.weight 2 8", router)
	for e := range 2 {
		at := "\nmodel.layers.#." + fmt.Sprintf(each, e)
		out += fmt.Sprintf("%s%s.weight %d 8%s%s.weight %d 8%s%s.weight 8 %d", at, gate, inner, at, up, inner, at, down, inner)
	}
	return out
}

const latentWeights = `
	model.layers.#.self_attn.kv_a_proj_with_mqa.weight 8 8
	model.layers.#.self_attn.kv_a_layernorm.weight 6
	model.layers.#.self_attn.kv_b_proj.weight 14 6
	model.layers.#.self_attn.o_proj.weight 8 8`

const deepseekSizes = llamaSizes + `, "kv_lora_rank": 6, "qk_nope_head_dim": 3, "qk_rope_head_dim": 2, "v_head_dim": 4, "moe_intermediate_size": 5,
	"n_routed_experts": 2, "n_shared_experts": 2, "num_experts_per_tok": 1`

const sharedWeights = `
	model.layers.#.mlp.shared_experts.gate_proj.weight 10 8
	model.layers.#.mlp.shared_experts.up_proj.weight 10 8
	model.layers.#.mlp.shared_experts.down_proj.weight 8 10`

// mixtureShapes are the families with experts.
func mixtureShapes() map[string]shapes {
	qwen := func(weights string) string {
		return mixed(weights, "mlp.gate", "mlp.experts.%d.", "gate_proj", "up_proj", "down_proj", 5)
	}
	of := func(config, weights string, qkv, z int) shapes {
		return shapes{config: config, weights: weights, qkv: qkv, z: z, fc1: 24, buffer: llamaBuffer, experts: 2}
	}
	const sizes = keyHead + `, "num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 5`
	const deepseekAttention = "\nmodel.layers.#.self_attn.q_proj.weight 10 8"
	first := func(s shapes) shapes { // the first block is dense
		s.dense = 1
		s.weights = strings.ReplaceAll(s.weights, "model.layers.#.mlp", "model.layers.1.mlp") + `
			model.layers.0.mlp.gate_proj.weight 12 8
			model.layers.0.mlp.up_proj.weight 12 8
			model.layers.0.mlp.down_proj.weight 8 12`
		return s
	}
	return map[string]shapes{
		"mixtral": of(keyHead+`, "num_local_experts": 2, "num_experts_per_tok": 1`,
			mixed(llamaWeights+untiedHead, "block_sparse_moe.gate", "block_sparse_moe.experts.%d.", "w1", "w3", "w2", 12), 16, 8),
		"qwen2_moe": first(of(sizes+`, "shared_expert_intermediate_size": 10, "mlp_only_layers": [0]`, qwen(llamaWeights+untiedHead)+qkvBiases+
			strings.ReplaceAll(sharedWeights, "shared_experts", "shared_expert")+"\nmodel.layers.#.mlp.shared_expert_gate.weight 1 8", 16, 8)),
		"qwen3_moe": of(sizes+`, "head_dim": 6`, qwen(wide+untiedHead)+qkNorms, 24, 12),
		"olmoe": of(keyHead+`, "num_experts": 2, "num_experts_per_tok": 1, "intermediate_size": 5`, qwen(llamaWeights+untiedHead)+`
			model.layers.#.self_attn.q_norm.weight 8
			model.layers.#.self_attn.k_norm.weight 4`, 16, 8),
		"gpt_oss": of(keyHead+`, "head_dim": 4, "num_local_experts": 2, "num_experts_per_tok": 1`, without(llamaWeights, "mlp")+untiedHead+qkvBiases+`
			model.layers.#.self_attn.o_proj.bias 8
			model.layers.#.self_attn.sinks 2
			model.layers.#.mlp.router.weight 2 8
			model.layers.#.mlp.router.bias 2
			model.layers.#.mlp.experts.gate_up_proj 2 8 24
			model.layers.#.mlp.experts.gate_up_proj_bias 2 24
			model.layers.#.mlp.experts.down_proj 2 12 8
			model.layers.#.mlp.experts.down_proj_bias 2 8`, 16, 8),
		"deepseek_v2": first(of(deepseekSizes+`, "first_k_dense_replace": 1, "q_lora_rank": null`,
			qwen(without(llamaWeights, "self_attn")+untiedHead)+latentWeights+deepseekAttention+sharedWeights, 18, 8)),
		"deepseek_v3": of(deepseekSizes+`, "first_k_dense_replace": 0, "q_lora_rank": 7, "n_group": 1, "topk_group": 1`,
			qwen(without(llamaWeights, "self_attn")+untiedHead)+latentWeights+sharedWeights+`
			model.layers.#.mlp.gate.e_score_correction_bias 2
			model.layers.#.self_attn.q_a_proj.weight 7 8
			model.layers.#.self_attn.q_a_layernorm.weight 7
			model.layers.#.self_attn.q_b_proj.weight 10 7`, 18, 8),
	}
}

func init() {
	maps.Copy(byFamily, denseShapes())
	maps.Copy(byFamily, mixtureShapes())
	byFamily["bloom"] = bloomShapes
}
