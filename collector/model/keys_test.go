package model_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/arch"
)

// Keys of real saves that change nothing, in every family.
func TestHarmlessKeysPass(t *testing.T) {
	keys := map[string]any{"attn_implementation": "eager", "_attn_implementation_internal": "sdpa", "gradient_checkpointing": true,
		"use_flash_attention_2": true, "transformers.js_config": map[string]any{"dtype": "q4"}, "unk_token_id": 0, "cls_token_id": 0, "mask_token_id": 3,
		"model_name": "unsloth/phi-2", "unsloth_fixed": true, "min_p": 0.1, "hidden_dropout": 0.1, "some_pdrop": 0.2, "compile_config": map[string]any{}, "some_new_switch": false,
		"some_new_number": nil, "embedding_multiplier": 1.0, "residual_multiplier": 1, "is_causal": true}
	for _, name := range fixtures {
		dir := linkModel(t, name)
		for key, value := range keys {
			setConfig(t, dir, key, value)
		}
		if _, err := model.Load(dir); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeysThatOtherKeysDecideMayRepeatThem(t *testing.T) {
	for _, c := range []struct {
		model, key  string
		right, left any
	}{
		{"phi-a", "head_dim", 8, 12}, {"neox-parallel", "num_key_value_heads", 3, 1}, {"gpt2", "hidden_size", 28, 27}, {"gpt2", "num_hidden_layers", 3, 2},
		{"llama-yarn", "partial_rotary_factor", 1.0, 0.5}, {"llama-3", "layer_types", []string{"full_attention", "full_attention", "full_attention"}, []string{"sliding_attention"}},
	} {
		refuses(t, c.model, c.key, c.right, nil, "")
		refuses(t, c.model, c.key, c.left, arch.ErrUnsupported, c.key)
	}
}

func TestUnknownKeysPassWhenTheUserSaysSo(t *testing.T) {
	dir := copyModel(t, "phi-a")
	setConfig(t, dir, "trained_with", "axolotl")
	if _, err := model.Load(dir); !errors.Is(err, arch.ErrUnsupported) || !strings.Contains(err.Error(), "--accept trained_with") || !strings.Contains(err.Error(), "check --parity") {
		t.Errorf("without a word: %v", err)
	}
	m, err := model.Load(dir, "trained_with")
	if err != nil || !slices.Equal(m.Info().Accept, []string{"trained_with"}) {
		t.Fatalf("accepted: %v", err)
	}
	for says, key := range map[string]string{"no such key": "trained_by", "is understood": "hidden_size"} {
		if _, err := model.Load(dir, "trained_with", key); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("--accept %s: %v", key, err)
		}
	}
}

// What is known to change the mathematics is refused, whatever the user says.
func TestKeysThatChangeTheMathematicsStayRefused(t *testing.T) {
	for key, value := range map[string]any{"attn_logit_softcapping": 50.0, "use_bidirectional_attention": true, "embedding_multiplier": 12.0,
		"some_new_multiplier": 2, "is_causal": false, "alibi": true, "num_local_experts": 8, "quantization": map[string]any{"bits": 4}, "final_logit_softcap": 3} {
		dir := copyModel(t, "llama-3")
		setConfig(t, dir, key, value)
		if _, err := model.Load(dir, key); !errors.Is(err, arch.ErrUnsupported) || !strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "--accept") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestAConfigThatIsNoObjectIsRefusedInWords(t *testing.T) {
	for text, says := range map[string]string{`[1]`: "must be an object", `"x"`: "must be an object", `{"model_type": 3}`: "model_type is a number",
		`{"model_type": "phi", "hidden_size": 16.5}`: "hidden_size is a number 16.5, and it must be a whole number", `{`: "not JSON", ``: "not JSON", `null`: "model_type",
		`{"model_type": "phi", "qk_layernorm": "yes"}`: "true or false", `{"model_type": "llava", "text_config": [2]}`: "text_config"} {
		dir := copyModel(t, "phi-a")
		write(t, filepath.Join(dir, "config.json"), []byte(text))
		_, err := model.Load(dir)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "unmarshal") {
			t.Errorf("%s: %v, want words that say %q", text, err, says)
		}
	}
}
