package checkpoint

import "strings"

// family is how one architecture differs.
type family struct {
	name        string // general.architecture
	modelType   string // of config.json
	act         string // key of the activation in config.json
	actName     string
	rotates     bool // query and key rows are in llama.cpp's order
	normPlusOne bool // norms hold w + 1
	postNorms   bool // four norms to a block
	keys        string
}

const (
	sharedKeys = `context_length embedding_length block_count feed_forward_length attention.head_count
		attention.head_count_kv attention.layer_norm_rms_epsilon attention.key_length attention.value_length
		rope.freq_base rope.dimension_count vocab_size rope.scaling.type rope.scaling.factor`
	gelu = "gelu_pytorch_tanh"
)

var families = map[string]family{
	"llama":  {name: "llama", modelType: "llama", act: "hidden_act", actName: "silu", rotates: true, keys: sharedKeys},
	"qwen2":  {name: "qwen2", modelType: "qwen2", act: "hidden_act", actName: "silu", keys: sharedKeys},
	"qwen3":  {name: "qwen3", modelType: "qwen3", act: "hidden_act", actName: "silu", keys: sharedKeys},
	"gemma":  {name: "gemma", modelType: "gemma", act: "hidden_act", actName: gelu, normPlusOne: true, keys: sharedKeys},
	"gemma2": {name: "gemma2", modelType: "gemma2", act: "hidden_activation", actName: gelu, normPlusOne: true, postNorms: true, keys: sharedKeys + windowKeys},
	"gemma3": {name: "gemma3", modelType: "gemma3_text", act: "hidden_activation", actName: gelu, normPlusOne: true, postNorms: true, keys: sharedKeys + windowKeys},
}

const windowKeys = " attention.sliding_window attn_logit_softcapping final_logit_softcapping rope.freq_base_swa"

// outer are the tensors that are no block's; inner are a block's.
var (
	outer = map[string]string{"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
	inner = map[string]string{
		"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
		"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
		"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
		"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
	}
	postNormed = map[string]string{"ffn_norm": "pre_feedforward_layernorm",
		"post_attention_norm": "post_attention_layernorm", "post_ffw_norm": "post_feedforward_layernorm"}
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
	if len(parts) != 3 || parts[0] != "blk" {
		return "", false
	}
	to, ok := inner[parts[2]]
	if other, has := postNormed[parts[2]]; has && f.postNorms {
		to, ok = other, true
	}
	return "model.layers." + parts[1] + "." + to + end, ok
}

func isNorm(name string) bool { return strings.HasSuffix(name, "norm.weight") }
