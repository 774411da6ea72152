package checkpoint

import "strings"

// family is how one architecture differs.
type family struct {
	modelType   string // of config.json
	act         string // key of the activation in config.json
	actName     string
	layerNorm   string // key of the epsilon in config.json, where the norms are LayerNorms; empty: they are RMSNorms
	rotates     bool   // query and key rows are in llama.cpp's order
	normPlusOne bool   // norms hold w + 1
	partial     bool   // rope.dimension_count may be a part of a head
	// names are those of tensors that outer and inner lack or name otherwise. One with a %d stands for as many weights as
	// the tensor has steps in its first dimension.
	names   map[string]string
	factors []string // tensors that belong to the config: what frequencies are divided by
	keys    string   // beside sharedKeys
	// more adds to config.json what this family has beside the shared keys.
	more func(r *reader, c map[string]any)
}

const (
	sharedKeys = `context_length embedding_length block_count feed_forward_length attention.head_count
		attention.head_count_kv attention.key_length attention.value_length
		rope.freq_base rope.dimension_count vocab_size rope.scaling.type rope.scaling.factor`
	windowKeys = "attention.sliding_window attn_logit_softcapping final_logit_softcapping rope.freq_base_swa"
	expertKeys = "expert_count expert_used_count expert_feed_forward_length expert_shared_feed_forward_length"
	gelu       = "gelu_pytorch_tanh"
)

// families are by general.architecture.
var families = map[string]family{
	"llama":   {modelType: "llama", act: "hidden_act", actName: "silu", rotates: true, factors: ropeFreqs, more: (*reader).llama},
	"arcee":   {modelType: "arcee", act: "hidden_act", actName: "relu2", rotates: true, factors: ropeFreqs, more: (*reader).llama},
	"smollm3": {modelType: "smollm3", act: "hidden_act", actName: "silu", rotates: true, more: (*reader).llama},
	"granite": {modelType: "granite", act: "hidden_act", actName: "silu", rotates: true, more: (*reader).granite,
		keys: "attention.scale embedding_scale residual_scale logit_scale"},
	"qwen2":  {modelType: "qwen2", act: "hidden_act", actName: "silu"},
	"qwen3":  {modelType: "qwen3", act: "hidden_act", actName: "silu", more: (*reader).llama},
	"gemma":  {modelType: "gemma", act: "hidden_act", actName: gelu, normPlusOne: true, more: (*reader).llama},
	"gemma2": {modelType: "gemma2", act: "hidden_activation", actName: gelu, normPlusOne: true, names: gemmaNorms, keys: windowKeys, more: (*reader).gemma},
	"gemma3": {modelType: "gemma3_text", act: "hidden_activation", actName: gelu, normPlusOne: true, names: gemmaNorms, keys: windowKeys, more: (*reader).gemma},
	"olmo2":  {modelType: "olmo2", act: "hidden_act", actName: "silu", names: postNorms, more: (*reader).llama},
	"phi3": {modelType: "phi3", act: "hidden_act", actName: "silu", partial: true, factors: []string{longFactors, shortFactors}, more: (*reader).phi3,
		names: map[string]string{"attn_qkv": "self_attn.qkv_proj", "ffn_up": "mlp.gate_up_proj"},
		keys:  "attention.sliding_window rope.scaling.original_context_length rope.scaling.attn_factor"},
	"starcoder2": {modelType: "starcoder2", act: "hidden_act", actName: gelu, layerNorm: "norm_epsilon", more: (*reader).starcoder2,
		names: map[string]string{"ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"}},
	"stablelm": {modelType: "stablelm", act: "hidden_act", actName: "silu", layerNorm: "layer_norm_eps", partial: true, more: (*reader).stablelm,
		names: map[string]string{"attn_q_norm": "self_attn.q_layernorm.norms.%d", "attn_k_norm": "self_attn.k_layernorm.norms.%d"}, keys: "use_parallel_residual"},
	"cohere2": {modelType: "cohere2", act: "hidden_act", actName: "silu", layerNorm: "layer_norm_eps", keys: "attention.sliding_window logit_scale", more: (*reader).cohere2},
	"glm4": {modelType: "glm4", act: "hidden_act", actName: "silu", partial: true, more: (*reader).glm4,
		names: map[string]string{"post_attention_norm": "post_self_attn_layernorm", "post_ffw_norm": "post_mlp_layernorm", "ffn_up": "mlp.gate_up_proj"}},
	"qwen2moe": {modelType: "qwen2_moe", act: "hidden_act", actName: "silu", names: qwenExperts, keys: expertKeys, more: (*reader).qwen2MoE},
	"qwen3moe": {modelType: "qwen3_moe", act: "hidden_act", actName: "silu", names: qwenExperts, keys: expertKeys, more: (*reader).qwen3MoE},
	"olmoe":    {modelType: "olmoe", act: "hidden_act", actName: "silu", names: qwenExperts, keys: expertKeys, more: (*reader).experts},
}

// mixtral is called llama too.
var mixtral = family{modelType: "mixtral", act: "hidden_act", actName: "silu", rotates: true, keys: expertKeys, more: (*reader).mixtral,
	names: map[string]string{"ffn_gate_inp": "block_sparse_moe.gate", "ffn_gate_exps": "block_sparse_moe.experts.%d.w1",
		"ffn_up_exps": "block_sparse_moe.experts.%d.w3", "ffn_down_exps": "block_sparse_moe.experts.%d.w2"}}

const (
	longFactors  = "rope_factors_long.weight"
	shortFactors = "rope_factors_short.weight"
)

// outer are the tensors that are no block's; inner are a block's.
var (
	ropeFreqs = []string{"rope_freqs.weight"}
	outer     = map[string]string{"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
	inner     = map[string]string{
		"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
		"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
		"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
		"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
	}
	gemmaNorms = map[string]string{"ffn_norm": "pre_feedforward_layernorm",
		"post_attention_norm": "post_attention_layernorm", "post_ffw_norm": "post_feedforward_layernorm"}
	postNorms   = map[string]string{"post_attention_norm": "post_attention_layernorm", "post_ffw_norm": "post_feedforward_layernorm"}
	qwenExperts = map[string]string{"ffn_gate_inp": "mlp.gate", "ffn_gate_exps": "mlp.experts.%d.gate_proj", "ffn_up_exps": "mlp.experts.%d.up_proj",
		"ffn_down_exps": "mlp.experts.%d.down_proj", "ffn_gate_inp_shexp": "mlp.shared_expert_gate", "ffn_gate_shexp": "mlp.shared_expert.gate_proj",
		"ffn_up_shexp": "mlp.shared_expert.up_proj", "ffn_down_shexp": "mlp.shared_expert.down_proj"}
)

// rename is Hugging Face's name of a tensor.
func (f family) rename(name string) (string, bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || name[dot:] != ".weight" && name[dot:] != ".bias" {
		return "", false
	}
	stem, end := name[:dot], name[dot:]
	if to, ok := outer[stem]; ok {
		return to + end, true
	}
	parts := strings.SplitN(stem, ".", 3)
	if len(parts) != 3 || parts[0] != "blk" || strings.Contains(parts[1], "%") {
		return "", false
	}
	to, ok := f.names[parts[2]]
	if !ok {
		to, ok = inner[parts[2]]
	}
	return "model.layers." + parts[1] + "." + to + end, ok
}
