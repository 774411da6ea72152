package model_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/arch"
	"actfleet/collector/model/layer"
)

// In every family a key that nobody knows, a quantised checkpoint, and sizes the weights do not have are
// refused in one line that names the key or the weight.
func TestEveryFamilyRefuses(t *testing.T) {
	layers := map[string]string{"gpt2": "n_layer", "gpt2-bare": "n_layer", "phi-msft": "n_layer", "mixformer": "n_layer", "gptj": "n_layer", "bloom": "n_layer"}
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
			if !slices.Contains([]string{"qwen3", "smollm3", "mixformer"}, name) { // their lists of layers and their head's number fail before
				refuses(t, name, count, 1, layer.ErrMismatch, "no layer uses")
			}
			refuses(t, name, count, 0, arch.ErrUnsupported, count)
			refuses(t, name, count, 1<<20, arch.ErrUnsupported, count)
		})
	}
}

// Keys by which other families and forks change the mathematics, in a config where they do not belong.
func TestForeignKeys(t *testing.T) {
	keys := map[string]any{"num_local_experts": 8, "logit_scale": 0.5, "embedding_multiplier": 12.0, "residual_multiplier": 0.2, "alibi": true,
		"clip_qkv": 8.0, "parallel_attn": true, "no_rope_layers": []int{1}, "attn_temperature_tuning": true, "rotary_interleaved": true,
		"layer_norm_type": "rms", "Hidden_Size": 12, "hidden_size ": 12}
	own := map[string]string{"granite": "embedding_multiplier residual_multiplier", "smollm3": "no_rope_layers", "cohere2": "logit_scale",
		"falcon": "alibi parallel_attn", "falcon-40b": "alibi parallel_attn", "falcon-rw": "alibi parallel_attn",
		"mixtral": "num_local_experts", "gpt-oss": "num_local_experts", "olmoe": "clip_qkv"}
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			for key, value := range keys {
				if slices.Contains(strings.Fields(own[name]), key) {
					continue
				}
				refuses(t, name, key, value, arch.ErrUnsupported, `"`+key+`"`)
			}
		})
	}
}

// In every family each dimension that the weights contradict, one more than they have, is refused by a line with
// a weight's name or the key's, and so is one that is no number.
func TestContradictoryDimensions(t *testing.T) {
	dimensions := []string{"hidden_size", "n_embd", "intermediate_size", "n_inner", "num_attention_heads", "n_head", "num_key_value_heads", "n_head_kv",
		"head_dim", "vocab_size", "num_hidden_layers", "n_layer"}
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			config := readConfig(t, name)
			for _, key := range dimensions {
				v, ok := config[key].(float64)
				if !ok {
					continue
				}
				if config["pad_vocab_size_multiple"] != nil && key == "vocab_size" {
					v += 7 // 61 to 64 are the same, padded
				}
				refusesAny(t, name, key, v+1)
				refusesAny(t, name, key, "twelve")
			}
		})
	}
}

// A norm's epsilon below zero gives NaNs where the variance is small; each family names the key in its own way.
func TestNegativeEpsilon(t *testing.T) {
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			if name == "opt" {
				return // its config has none
			}
			found := 0
			for key := range readConfig(t, name) {
				if strings.Contains(key, "norm_eps") {
					found++
					refuses(t, name, key, -1e-5, arch.ErrUnsupported, key+" is -0.00001")
				}
			}
			if found == 0 {
				t.Error("the fixture's config names no epsilon")
			}
		})
	}
}

func readConfig(t *testing.T, name string) (c map[string]any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("modeltest", "testdata", name, "config.json"))
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// refusesAny wants one line that names the key or a weight.
func refusesAny(t *testing.T, name, key string, value any) {
	t.Helper()
	dir := linkModel(t, name)
	setConfig(t, dir, key, value)
	_, err := model.Load(dir)
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), key) && !(errors.Is(err, layer.ErrMismatch) && strings.Contains(err.Error(), "weight")) {
		t.Errorf("%s = %v: error %v, want one line that names it or a weight", key, value, err)
	}
}

func TestFamilyRefusals(t *testing.T) {
	for _, c := range []struct {
		model, key string
		value      any
		want       error
		says       string
	}{
		{"llama-3", "rope_scaling", rope("dynamic"), nil, ""},
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
		{"llama-3", "tie_word_embeddings", true, nil, ""},     // both matrices in the file: each is used
		{"llama-yarn", "tie_word_embeddings", false, nil, ""}, // no head: activations alone
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
	dir := linkModel(t, name)
	setConfig(t, dir, key, value)
	_, err := model.Load(dir)
	switch {
	case want == nil && err != nil:
		t.Errorf("%s = %v: %v", key, value, err)
	case want != nil && (!errors.Is(err, want) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n")):
		t.Errorf("%s = %v: error %q, want one line of %q that names %q", key, value, err, want, says)
	}
}
