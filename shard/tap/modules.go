package tap

import "strings"

// Modules are what transformers calls the modules of a family, whose weights checkpoints name after them. The names from
// AttnNorm on are those of a block's, below Block. An empty name is a part that the family does not have.
type Modules struct {
	Embed     string // token embedding
	Positions string // learned positions
	EmbedNorm string // norm of the embedding
	Norm      string // final norm
	Head      string // output matrix, as files name it
	Block     string // a block; %d stands for its layer
	First     int    // the number that layer 0 has in Block

	AttnNorm, MLPNorm string // norms before attention and before the MLP
	PostAttn, PostMLP string // norms of their outputs, before these are added
	Scaled            bool   // outputs are multiplied by a factor, outside of any module, before they are added

	Q, K, V      string
	QKV          string // one projection for the three
	Grouped      bool   // QKV gives one key head after the other: its queries, the key, the value
	Sinks        string // one more score for each head, of no key
	Latent       LatentModules
	QNorm, KNorm string // norms of queries and keys; %d stands for the head where each has its own
	Out          string // the attention's output projection

	Gate, Up string
	GateUp   string // one projection for both
	FC1      string // the first projection of an MLP without a gate
	FC2      string // the last projection of either kind
	Sums     bool   // what attention and MLP give is already added to the residual stream
	Experts  ExpertModules
}

// LatentModules are those of attention whose keys and values are made of a narrow vector, and perhaps its queries too.
type LatentModules struct {
	Down, Norm, Up                string
	QueryDown, QueryNorm, QueryUp string
}

// ExpertModules are those of a mixture of experts.
type ExpertModules struct {
	MLP            string // the whole
	File           string // what files call the whole, where they do otherwise
	Router         string
	Correction     string // a tensor that is added to the router's scores
	Each           string // what the names of an expert's parts begin with; %d stands for its number
	Gate, Up, Down string // of an expert; of all of them where Each is empty
	Shared         string // what all tokens go through
	SharedGate     string
}

var llamaModules = Modules{Embed: "model.embed_tokens", Norm: "model.norm", Head: "lm_head", Block: "model.layers.%d",
	AttnNorm: "input_layernorm", MLPNorm: "post_attention_layernorm",
	Q: "self_attn.q_proj", K: "self_attn.k_proj", V: "self_attn.v_proj", Out: "self_attn.o_proj",
	Gate: "mlp.gate_proj", Up: "mlp.up_proj", FC2: "mlp.down_proj"}

// gemmaModules give post_attention_layernorm the meaning of its name.
func gemmaModules() Modules {
	m := llamaModules
	m.PostAttn, m.MLPNorm, m.PostMLP = "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"
	return m
}

func (m Modules) withQKNorm(q, k string) Modules {
	m.QNorm, m.KNorm = q, k
	return m
}

// postNormed are those of a block that norms only what attention and MLP give.
func (m Modules) postNormed() Modules {
	m.AttnNorm, m.MLPNorm, m.PostAttn, m.PostMLP = "", "", "post_attention_layernorm", "post_feedforward_layernorm"
	return m
}

// plainMLP are those of an MLP without a gate.
func (m Modules) plainMLP(fc1, fc2 string) Modules {
	m.Gate, m.Up, m.FC1, m.FC2 = "", "", fc1, fc2
	return m
}

// fusedGate are those of an MLP with one projection for gate and up.
func (m Modules) fusedGate() Modules {
	m.Gate, m.Up, m.GateUp = "", "", "mlp.gate_up_proj"
	return m
}

func (m Modules) scaled() Modules {
	m.Scaled = true
	return m
}

func phi3Modules() Modules {
	m := llamaModules.fusedGate()
	m.Q, m.K, m.V, m.QKV = "", "", "", "self_attn.qkv_proj"
	return m
}

func cohere2Modules() Modules {
	m := llamaModules
	m.MLPNorm = ""
	return m
}

func glm4Modules() Modules {
	m := llamaModules.fusedGate()
	m.PostAttn, m.PostMLP = "post_self_attn_layernorm", "post_mlp_layernorm"
	return m
}

func (m Modules) mixture(e ExpertModules) Modules {
	m.Experts = e
	return m
}

// sharedExperts are those of mixtures after Qwen's.
func sharedExperts(shared string) ExpertModules {
	return ExpertModules{MLP: "mlp", Router: "mlp.gate", Each: "mlp.experts.%d.", Gate: "gate_proj", Up: "up_proj", Down: "down_proj",
		Shared: shared, SharedGate: "mlp.shared_expert_gate"}
}

func gptOSSModules() Modules {
	m := llamaModules.mixture(ExpertModules{MLP: "mlp", Router: "mlp.router", Gate: "mlp.experts.gate_up_proj", Down: "mlp.experts.down_proj"})
	m.Sinks = "self_attn.sinks"
	return m
}

func deepseekModules() Modules {
	m := llamaModules.mixture(sharedExperts("mlp.shared_experts"))
	m.Experts.Correction = "mlp.gate.e_score_correction_bias"
	m.Latent = LatentModules{Down: "self_attn.kv_a_proj_with_mqa", Norm: "self_attn.kv_a_layernorm", Up: "self_attn.kv_b_proj",
		QueryDown: "self_attn.q_a_proj", QueryNorm: "self_attn.q_a_layernorm", QueryUp: "self_attn.q_b_proj"}
	return m
}

// InFile are the same under the names that files have.
func (e ExpertModules) InFile() ExpertModules {
	if e.File == "" {
		return e
	}
	for _, name := range []*string{&e.Router, &e.Each} {
		*name = e.File + strings.TrimPrefix(*name, e.MLP)
	}
	return e
}

// families are by model_type.
var families = map[string]Modules{
	"granite": llamaModules.scaled(), "smollm3": llamaModules, "phi3": phi3Modules(), "cohere2": cohere2Modules(),
	"glm": llamaModules.fusedGate(), "glm4": glm4Modules(),
	"olmo2":      llamaModules.postNormed().withQKNorm("self_attn.q_norm", "self_attn.k_norm"),
	"olmo3":      llamaModules.postNormed().withQKNorm("self_attn.q_norm", "self_attn.k_norm"),
	"starcoder2": llamaModules.plainMLP("mlp.c_fc", "mlp.c_proj"),
	"stablelm":   llamaModules.withQKNorm("self_attn.q_layernorm.norms.%d", "self_attn.k_layernorm.norms.%d"),
	"mixtral":    llamaModules.mixture(ExpertModules{MLP: "mlp", File: "block_sparse_moe", Router: "mlp.gate", Each: "mlp.experts.%d.", Gate: "w1", Up: "w3", Down: "w2"}),
	"qwen2_moe":  llamaModules.mixture(sharedExperts("mlp.shared_expert")), "qwen3_moe": llamaModules.withQKNorm("self_attn.q_norm", "self_attn.k_norm").mixture(sharedExperts("")),
	"olmoe":   llamaModules.withQKNorm("self_attn.q_norm", "self_attn.k_norm").mixture(sharedExperts("")),
	"gpt_oss": gptOSSModules(), "deepseek_v2": deepseekModules(), "deepseek_v3": deepseekModules(),
	"opt": {Embed: "model.decoder.embed_tokens", Positions: "model.decoder.embed_positions", Norm: "model.decoder.final_layer_norm", Head: "lm_head",
		Block: "model.decoder.layers.%d", AttnNorm: "self_attn_layer_norm", MLPNorm: "final_layer_norm",
		Q: "self_attn.q_proj", K: "self_attn.k_proj", V: "self_attn.v_proj", Out: "self_attn.out_proj", FC1: "fc1", FC2: "fc2"},
	"falcon": {Embed: "transformer.word_embeddings", Norm: "transformer.ln_f", Head: "lm_head", Block: "transformer.h.%d",
		AttnNorm: "input_layernorm", MLPNorm: "post_attention_layernorm", QKV: "self_attention.query_key_value", Grouped: true, Out: "self_attention.dense",
		FC1: "mlp.dense_h_to_4h", FC2: "mlp.dense_4h_to_h"},
	"bloom": {Embed: "transformer.word_embeddings", EmbedNorm: "transformer.word_embeddings_layernorm", Norm: "transformer.ln_f", Head: "lm_head",
		Block: "transformer.h.%d", AttnNorm: "input_layernorm", MLPNorm: "post_attention_layernorm",
		QKV: "self_attention.query_key_value", Grouped: true, Out: "self_attention.dense", FC1: "mlp.dense_h_to_4h", FC2: "mlp.dense_4h_to_h", Sums: true},
	"gptj": {Embed: "transformer.wte", Norm: "transformer.ln_f", Head: "lm_head", Block: "transformer.h.%d", AttnNorm: "ln_1",
		Q: "attn.q_proj", K: "attn.k_proj", V: "attn.v_proj", Out: "attn.out_proj", FC1: "mlp.fc_in", FC2: "mlp.fc_out"},
	"arcee": llamaModules.plainMLP("mlp.up_proj", "mlp.down_proj"),
	"llama": llamaModules, "mistral": llamaModules, "qwen2": llamaModules, "gemma": llamaModules,
	"qwen3":       llamaModules.withQKNorm("self_attn.q_norm", "self_attn.k_norm"),
	"gemma2":      gemmaModules(),
	"gemma3_text": gemmaModules().withQKNorm("self_attn.q_norm", "self_attn.k_norm"),
	"phi": {Embed: "model.embed_tokens", Norm: "model.final_layernorm", Head: "lm_head", Block: "model.layers.%d",
		AttnNorm: "input_layernorm", Q: "self_attn.q_proj", K: "self_attn.k_proj", V: "self_attn.v_proj", Out: "self_attn.dense",
		QNorm: "self_attn.q_layernorm", KNorm: "self_attn.k_layernorm", FC1: "mlp.fc1", FC2: "mlp.fc2"},
	"phi-msft": {Embed: "transformer.embd.wte", Norm: "lm_head.ln", Head: "lm_head.linear", Block: "transformer.h.%d",
		AttnNorm: "ln", QKV: "mixer.Wqkv", Out: "mixer.out_proj", FC1: "mlp.fc1", FC2: "mlp.fc2"},
	"gpt_neox": {Embed: "gpt_neox.embed_in", Norm: "gpt_neox.final_layer_norm", Head: "embed_out", Block: "gpt_neox.layers.%d",
		AttnNorm: "input_layernorm", MLPNorm: "post_attention_layernorm", QKV: "attention.query_key_value", Grouped: true, Out: "attention.dense",
		FC1: "mlp.dense_h_to_4h", FC2: "mlp.dense_4h_to_h"},
	"gpt2": {Embed: "transformer.wte", Positions: "transformer.wpe", Norm: "transformer.ln_f", Head: "lm_head", Block: "transformer.h.%d",
		AttnNorm: "ln_1", MLPNorm: "ln_2", QKV: "attn.c_attn", Out: "attn.c_proj", FC1: "mlp.c_fc", FC2: "mlp.c_proj"},
}

// ModulesOf are the modules of a model_type; ok is false for one that is not known.
func ModulesOf(modelType string) (m Modules, ok bool) {
	m, ok = families[modelType]
	return m, ok
}
