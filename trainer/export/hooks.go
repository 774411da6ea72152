package export

import (
	"fmt"

	"actfleet/shard/tap"
)

// Hook is a place in a language model under the names that other programs have for it. A name is empty where
// a program has none for just the vectors that a run stores: where it has queries, keys and values one by one, the gate
// and the rest one by one, or, in TransformerLens, what is added to the residual rather than what is projected.
type Hook struct {
	TransformerLens string // a hook of HookedTransformer
	HuggingFace     string // a module whose output it is
}

// family is what the modules of a block are called in transformers.
type family struct {
	block              string // with the number of the layer to be put in
	qkv, out, fc1, fc2 string // "" where no one module has it
	normed             bool   // norms lie between the projections and the residual
}

var (
	llamaModules = family{block: "model.layers.%d", out: "self_attn.o_proj", fc2: "mlp.down_proj"}
	gemmaModules = family{block: "model.layers.%d", out: "self_attn.o_proj", fc2: "mlp.down_proj", normed: true}
)

// families are by model_type. GPT-NeoX's query_key_value goes head by head and is another vector than a run's.
var families = map[string]family{
	"phi":      {block: "model.layers.%d", out: "self_attn.dense", fc1: "mlp.fc1", fc2: "mlp.fc2"},
	"phi-msft": {block: "transformer.h.%d", qkv: "mixer.Wqkv", out: "mixer.out_proj", fc1: "mlp.fc1", fc2: "mlp.fc2"},
	"gpt2":     {block: "transformer.h.%d", qkv: "attn.c_attn", out: "attn.c_proj", fc1: "mlp.c_fc", fc2: "mlp.c_proj"},
	"gpt_neox": {block: "gpt_neox.layers.%d", out: "attention.dense", fc1: "mlp.dense_h_to_4h", fc2: "mlp.dense_4h_to_h"},
	"llama":    llamaModules, "mistral": llamaModules, "qwen2": llamaModules, "qwen3": llamaModules, "gemma": llamaModules,
	"gemma2": gemmaModules, "gemma3_text": gemmaModules,
}

// HookOf is the place of a run's column in a model of a model_type. It is empty where nothing is known of either.
func HookOf(modelType, column string) Hook {
	t, _, ok := tap.ParseColumn(column)
	f, known := families[modelType]
	if !ok || !known {
		return Hook{}
	}
	module, lens := f.names(t.Site)
	var h Hook
	if block := fmt.Sprintf(f.block, t.Layer); t.Site == tap.Resid {
		h.HuggingFace = block
	} else if module != "" {
		h.HuggingFace = block + "." + module
	}
	if lens != "" {
		h.TransformerLens = fmt.Sprintf("blocks.%d.%s", t.Layer, lens)
	}
	return h
}

// names are those of a site inside a block.
func (f family) names(s tap.Site) (module, lens string) {
	switch s {
	case tap.Resid:
		return "", "hook_resid_post"
	case tap.Wqkv:
		return f.qkv, ""
	case tap.OutProj:
		module, lens = f.out, "hook_attn_out"
	case tap.FC2:
		module, lens = f.fc2, "hook_mlp_out"
	case tap.FC1:
		if f.fc1 != "" { // without a gate
			lens = "mlp.hook_pre"
		}
		return f.fc1, lens
	}
	if f.normed {
		lens = ""
	}
	return module, lens
}
