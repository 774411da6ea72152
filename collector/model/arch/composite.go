package arch

import (
	"encoding/json"
	"fmt"
)

// composites are the model types whose text_config describes a language model that sees a text as it would alone, with the
// model_type of a text_config that names none. Others may not (PaliGemma attends to a prompt in both directions).
var composites = map[string]string{
	"gemma3": "gemma3_text", "idefics3": "llama", "internvl": "qwen2", "llava": "llama", "llava_next": "llama", "llava_next_video": "llama",
	"llava_onevision": "qwen2", "mistral3": "mistral", "smolvlm": "llama", "video_llava": "llama", "vipllava": "llama",
}

// Text is the config.json of the language model that a config.json describes: itself, or its text_config where the
// checkpoint has several models (inside is then true).
func Text(config []byte) (text []byte, inside bool, err error) {
	var head struct {
		ModelType string          `json:"model_type"`
		Text      json.RawMessage `json:"text_config"`
		Tied      json.RawMessage `json:"tie_word_embeddings"`
		Quantised json.RawMessage `json:"quantization_config"`
	}
	if err := readJSON(config, &head); err != nil {
		return nil, false, err
	}
	if families[head.ModelType].design != nil || len(head.Text) == 0 || string(head.Text) == "null" {
		return config, false, nil
	}
	kind, known := composites[head.ModelType]
	if !known {
		return nil, false, fmt.Errorf("%w: model_type %q with a text_config: whether its language model computes a text as it would alone is not known here",
			ErrUnsupported, head.ModelType)
	}
	var inner map[string]json.RawMessage
	if err := readJSON(head.Text, &inner); err != nil {
		return nil, false, fmt.Errorf("text_config: %w", err)
	}
	if _, own := inner["model_type"]; !own {
		inner["model_type"] = json.RawMessage(`"` + kind + `"`)
	}
	for key, value := range map[string]json.RawMessage{"tie_word_embeddings": head.Tied, "quantization_config": head.Quantised} {
		if _, own := inner[key]; !own && value != nil {
			inner[key] = value
		}
	}
	text, err = json.Marshal(inner)
	return text, true, err
}

// Key is the value of a key of a config.json; nil without it.
func Key(config []byte, key string) ([]byte, error) {
	var all map[string]json.RawMessage
	err := readJSON(config, &all)
	return all[key], err
}

// Without is a config.json without a key.
func Without(config []byte, key string) ([]byte, error) {
	var all map[string]json.RawMessage
	if err := readJSON(config, &all); err != nil {
		return nil, err
	}
	delete(all, key)
	return json.Marshal(all)
}
