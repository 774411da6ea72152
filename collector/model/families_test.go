package model_test

import (
	"errors"
	"strings"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/arch"
	"actfleet/collector/model/layer"
)

// In every family a key that nobody knows, a quantised checkpoint, and sizes the weights do not have are
// refused in one line that names the key or the weight.
func TestEveryFamilyRefuses(t *testing.T) {
	layers := map[string]string{"gpt2": "n_layer", "gpt2-bare": "n_layer", "phi-msft": "n_layer", "mixformer": "n_layer"}
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			count := layers[name]
			if count == "" {
				count = "num_hidden_layers"
			}
			refuses(t, name, "attention_twist", 2, arch.ErrUnsupported, `"attention_twist"`)
			refuses(t, name, "add_cross_attention", true, arch.ErrUnsupported, `"add_cross_attention"`)
			refuses(t, name, "quantization_config", map[string]any{"bits": 4}, arch.ErrUnsupported, "convert the checkpoint")
			refuses(t, name, "vocab_size", 131, layer.ErrMismatch, "weight")
			if name != "qwen3" && name != "mixformer" { // their layer_types and their head's number fail before
				refuses(t, name, count, 1, layer.ErrMismatch, "no layer uses")
			}
			refuses(t, name, count, 0, arch.ErrUnsupported, count)
			refuses(t, name, count, 1<<20, arch.ErrUnsupported, count)
		})
	}
}

func TestFamilyRefusals(t *testing.T) {
	for _, c := range []struct {
		model, key string
		value      any
		want       error
		says       string
	}{
		{"llama-3", "rope_scaling", rope("dynamic"), arch.ErrUnsupported, `"dynamic"`},
		{"llama-3", "rope_scaling", rope("longrope"), arch.ErrUnsupported, `"longrope"`},
		{"llama-3", "rope_scaling", rope("spiral"), arch.ErrUnsupported, `"spiral"`},
		{"llama-3", "rope_scaling", map[string]any{"rope_type": "linear"}, arch.ErrUnsupported, "factor"},
		{"llama-3", "rope_scaling", map[string]any{"rope_type": "linear", "twist": 1}, arch.ErrUnsupported, "twist"},
		{"llama-3", "rope_parameters", map[string]any{"partial_rotary_factor": 0.4}, nil, ""}, // rope_scaling wins
		{"llama-yarn", "rope_scaling", map[string]any{"rope_type": "default", "partial_rotary_factor": 0.5}, arch.ErrUnsupported, "partial_rotary_factor"},
		{"llama-yarn", "rope_theta", 1, arch.ErrUnsupported, "rope_theta"},
		{"llama-3", "attn_logit_softcapping", 50.0, arch.ErrUnsupported, "attn_logit_softcapping"},
		{"llama-3", "sliding_window", 5, arch.ErrUnsupported, "sliding_window"},
		{"llama-3", "sliding_window", nil, nil, ""},
		{"llama-3", "attention_bias", false, layer.ErrMismatch, "no layer uses"},
		{"llama-3", "head_dim", nil, layer.ErrMismatch, "q_proj"},
		{"llama-3", "tie_word_embeddings", true, nil, ""}, // both matrices in the file: each is used
		{"llama-yarn", "tie_word_embeddings", false, layer.ErrMismatch, "lm_head.weight"},
		{"mistral", "num_key_value_heads", absent, arch.ErrUnsupported, "num_key_value_heads 8"},
		{"qwen2", "num_key_value_heads", absent, arch.ErrUnsupported, "num_key_value_heads 32"},
		{"gemma", "num_key_value_heads", absent, arch.ErrUnsupported, "num_key_value_heads 16"},
		{"gemma3", "num_key_value_heads", absent, arch.ErrUnsupported, "num_key_value_heads 4"},
		{"qwen3", "head_dim", absent, layer.ErrMismatch, "config.json says [512 28]"},  // 4 × 128
		{"gemma2", "head_dim", absent, layer.ErrMismatch, "config.json says [768 24]"}, // 3 × 256
		{"mistral", "attention_bias", true, arch.ErrUnsupported, "attention_bias"},
		{"mistral", "attention_bias", false, nil, ""},
		{"mistral", "sliding_window", 0, arch.ErrUnsupported, "sliding_window"},
		{"mistral", "layer_types", []string{"full_attention"}, arch.ErrUnsupported, "layer_types"},
		{"qwen2", "use_sliding_window", false, nil, ""},
		{"qwen2", "layer_types", []string{"full_attention"}, arch.ErrUnsupported, "layer_types"},
		{"qwen2", "layer_types", []string{"full_attention", "x", "full_attention"}, arch.ErrUnsupported, `"x"`},
		{"qwen3", "use_sliding_window", false, arch.ErrUnsupported, "sliding_window"},
		{"qwen3", "attention_bias", false, layer.ErrMismatch, "bias"},
		{"neox-parallel", "rope_theta", 5.0, arch.ErrUnsupported, "rotary_emb_base"},
		{"neox-parallel", "partial_rotary_factor", 0.5, arch.ErrUnsupported, "rotary_pct"},
		{"neox-parallel", "rotary_pct", 1.1, arch.ErrUnsupported, "partial_rotary_factor"},
		{"neox-parallel", "hidden_act", "swoosh", arch.ErrUnsupported, "swoosh"},
		{"gpt2", "n_inner", nil, layer.ErrMismatch, "c_fc"},
		{"gpt2", "n_head", 5, arch.ErrUnsupported, "n_head"},
		{"gemma", "use_bidirectional_attention", true, arch.ErrUnsupported, "use_bidirectional_attention"},
		{"gemma2", "query_pre_attn_scalar", 0, arch.ErrUnsupported, "query_pre_attn_scalar"},
		{"gemma2", "attn_logit_softcapping", -1.0, arch.ErrUnsupported, "attn_logit_softcapping"},
		{"gemma2", "attn_logit_softcapping", nil, nil, ""},
		{"gemma3", "_sliding_window_pattern", 3, arch.ErrUnsupported, "_sliding_window_pattern"},
		{"gemma3", "rope_parameters", map[string]any{"rope_theta": 5.0}, arch.ErrUnsupported, "rope_parameters"},
		{"phi-msft", "rotary_dim", 5, arch.ErrUnsupported, "even"},
		{"mixformer", "architecture", map[string]any{"block_cls": "sequential"}, arch.ErrUnsupported, "block_cls"},
		{"mixformer", "architecture", map[string]any{"mlp": map[string]any{"mlp_cls": "glu"}}, arch.ErrUnsupported, "mlp_cls"},
		{"mixformer", "embd_layer", "positional", arch.ErrUnsupported, "embd_layer"},
	} {
		t.Run(c.model+"/"+c.key, func(t *testing.T) { refuses(t, c.model, c.key, c.value, c.want, c.says) })
	}
}

func rope(kind string) map[string]any { return map[string]any{"rope_type": kind, "factor": 4.0} }

// refuses changes one key of a fixture's config.json and loads it; want nil means that it must load.
func refuses(t *testing.T, name, key string, value any, want error, says string) {
	t.Helper()
	dir := copyModel(t, name)
	setConfig(t, dir, key, value)
	_, err := model.Load(dir)
	switch {
	case want == nil && err != nil:
		t.Errorf("%s = %v: %v", key, value, err)
	case want != nil && (!errors.Is(err, want) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n")):
		t.Errorf("%s = %v: error %q, want one line of %q that names %q", key, value, err, want, says)
	}
}
