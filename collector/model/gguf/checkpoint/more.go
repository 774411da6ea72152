package checkpoint

import (
	"encoding/json"
	"fmt"

	"actfleet/collector/model/gguf"
)

// tensor says whether the file has one.
func (r *reader) tensor(name string) bool {
	_, has := r.file.Info(name)
	return has
}

// set copies keys of the file that are there, under the names that config.json has.
func (r *reader) set(c map[string]any, names map[string]string) {
	for key, name := range names {
		if r.has(key) {
			c[name] = r.number(key)
		}
	}
}

// llama adds biases where there are some, and what frequencies are divided by.
func (r *reader) llama(c map[string]any) {
	if r.tensor("blk.0.attn_q.bias") {
		c["attention_bias"] = true
	}
	if r.tensor("blk.0.ffn_up.bias") {
		c["mlp_bias"] = true
	}
	if factors := r.factors("rope_freqs.weight"); factors != nil {
		c["rope_scaling"] = map[string]any{"rope_type": "longrope", "short_factor": factors, "long_factor": factors, "attention_factor": 1,
			"original_max_position_embeddings": r.count("context_length")} // one list for all lengths
	}
}

// factors is a list of them, nil where the family or the file has none.
func (r *reader) factors(name string) []float32 {
	if len(r.family.factors) == 0 || !r.tensor(name) {
		return nil
	}
	values, err := r.file.Float32s(name)
	if err != nil {
		r.fail("%w", err)
	}
	return values
}

func (r *reader) granite(c map[string]any) {
	r.llama(c)
	r.set(c, map[string]string{"attention.scale": "attention_multiplier", "embedding_scale": "embedding_multiplier",
		"residual_scale": "residual_multiplier", "logit_scale": "logits_scaling"})
}

// phi3 has longrope where the file has its factors, and a window of 0 for none.
func (r *reader) phi3(c map[string]any) {
	if n, _ := gguf.Get[int64](r.file, r.prefix+"attention.sliding_window"); n != 0 {
		c["sliding_window"] = r.count("attention.sliding_window")
	}
	c["original_max_position_embeddings"] = r.countOr("rope.scaling.original_context_length", r.count("context_length"))
	long, short := r.factors(longFactors), r.factors(shortFactors)
	if long == nil && short == nil {
		return
	}
	rule := map[string]any{"rope_type": "longrope", "short_factor": short, "long_factor": long}
	r.set(rule, map[string]string{"rope.scaling.attn_factor": "attention_factor"})
	c["rope_scaling"] = rule
}

// starcoder2 has no window in a file.
func (r *reader) starcoder2(c map[string]any) {
	c["use_bias"], c["sliding_window"] = r.tensor("blk.0.attn_q.bias"), nil
}

func (r *reader) stablelm(c map[string]any) {
	parallel, _ := gguf.Get[bool](r.file, r.prefix+"use_parallel_residual")
	c["use_parallel_residual"], c["use_qkv_bias"], c["qk_layernorm"] = parallel, r.tensor("blk.0.attn_q.bias"), r.tensor("blk.0.attn_q_norm.weight")
}

func (r *reader) cohere2(c map[string]any) {
	c["attention_bias"], c["sliding_window"] = r.tensor("blk.0.attn_q.bias"), r.count("attention.sliding_window")
	r.set(c, map[string]string{"logit_scale": "logit_scale"})
}

func (r *reader) glm4(c map[string]any) { c["attention_bias"] = r.tensor("blk.0.attn_q.bias") }

// experts are in every block; the weights of the chosen are as they are.
func (r *reader) experts(c map[string]any) {
	c["num_experts"], c["num_experts_per_tok"], c["norm_topk_prob"] = r.count("expert_count"), r.count("expert_used_count"), false
}

// dense are the blocks without experts.
func (r *reader) dense() []int {
	blocks := []int{}
	for i := range min(r.count("block_count"), len(r.file.Tensors())) {
		if !r.tensor(fmt.Sprintf("blk.%d.ffn_gate_inp.weight", i)) {
			blocks = append(blocks, i)
		}
	}
	return blocks
}

func (r *reader) qwen2MoE(c map[string]any) {
	r.experts(c)
	c["mlp_only_layers"] = r.dense()
	c["qkv_bias"] = r.tensor("blk.0.attn_q.bias")
	c["moe_intermediate_size"], c["shared_expert_intermediate_size"] = r.count("expert_feed_forward_length"), r.count("expert_shared_feed_forward_length")
}

// qwen3MoE divides the weights of the chosen by their sum, which the file does not say.
func (r *reader) qwen3MoE(c map[string]any) {
	r.experts(c)
	c["mlp_only_layers"] = r.dense()
	c["norm_topk_prob"], c["moe_intermediate_size"], c["attention_bias"] = true, r.count("expert_feed_forward_length"), r.tensor("blk.0.attn_q.bias")
}

func (r *reader) mixtral(c map[string]any) {
	c["num_local_experts"], c["num_experts_per_tok"], c["sliding_window"] = r.count("expert_count"), r.count("expert_used_count"), nil
}

// gemma adds what Gemma 2 and 3 have.
func (r *reader) gemma(c map[string]any) {
	r.llama(c)
	c["query_pre_attn_scalar"] = r.queryScalar()
	if r.has("attention.sliding_window") {
		c["sliding_window"] = r.count("attention.sliding_window")
	}
	if r.family.modelType == "gemma3_text" {
		c["rope_local_base_freq"] = r.numberOr("rope.freq_base_swa", "10000")
		if !r.has("rope.freq_base") {
			c["rope_theta"] = json.Number("1000000")
		}
	}
	r.set(c, map[string]string{"attn_logit_softcapping": "attn_logit_softcapping", "final_logit_softcapping": "final_logit_softcapping"})
}

// queryScalar is the head's width, but for the 27B models (46 layers in Gemma 2, 62 in Gemma 3), where it is hidden/heads:
// llama.cpp, src/llama-model.cpp, f_attention_scale. A file does not hold it.
func (r *reader) queryScalar() int {
	layers, whole := r.count("block_count"), max(1, r.count("embedding_length")/r.count("attention.head_count"))
	if r.family.modelType == "gemma2" && layers == 46 || r.family.modelType == "gemma3_text" && layers == 62 {
		return whole
	}
	return r.countOr("attention.key_length", whole)
}
