package arch

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// harmlessKeys are keys of any config.json that do not change what a forward pass computes: what the
// checkpoint is called, how it was trained, how text is generated from it.
var harmlessKeys = set(`_attn_implementation _attn_implementation_autoset _commit_hash _flash_attn_2_enabled _name_or_path architectures
	attention_dropout attention_probs_dropout_prob attn_pdrop auto_map bad_words_ids begin_suppress_tokens bos_token_id
	cache_implementation chunk_size_feed_forward classifier_dropout decoder_start_token_id diversity_penalty do_sample
	dtype early_stopping embd_pdrop encoder_no_repeat_ngram_size eos_token_id exponential_decay_length_penalty
	finetuning_task forced_bos_token_id forced_eos_token_id hidden_dropout hidden_dropout_prob id2label initializer_range
	is_decoder is_llama_config label2id length_penalty max_length max_sequence_length min_length model_type no_repeat_ngram_size num_beam_groups
	num_beams num_labels num_return_sequences output_attentions output_hidden_states output_scores pad_token_id prefix
	pretraining_tp problem_type remove_invalid_values repetition_penalty resid_pdrop return_dict return_dict_in_generate
	sep_token_id suppress_tokens task_specific_params temperature tf_legacy_loss tokenizer_class top_k top_p torch_dtype
	torchscript transformers_version typical_p unsloth_version unsloth_fixed use_cache`)

// offKeys change the mathematics when they are true; false is what every family here computes that
// does not know the key.
var offKeys = set(`add_cross_attention attention_bias is_encoder_decoder mlp_bias qk_layernorm rope_interleaved
	tie_encoder_decoder use_bidirectional_attention use_qk_norm use_sliding_window`)

func set(words string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(words) {
		out[w] = true
	}
	return out
}

// parse reads config.json into config, a pointer to a struct that holds the defaults of absent keys.
// A key that neither the struct nor the list of harmless keys knows is refused: it may change the
// mathematics. A key that is null counts as absent.
func parse(text []byte, config any, harmless string) error {
	if err := json.Unmarshal(text, config); err != nil {
		return fmt.Errorf("parse config.json: %w", err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return fmt.Errorf("parse config.json: %w", err)
	}
	known, extra := jsonKeys(reflect.TypeOf(config).Elem()), set(harmless)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		value := string(all[key])
		switch {
		case strings.Contains(key, "norm_eps") && strings.HasPrefix(value, "-"):
			return fmt.Errorf("%w: config.json: %s is %.40s; a norm divides by the root of the variance plus it", ErrUnsupported, key, value)
		case value == "null", known[key], harmlessKeys[key], extra[key], offKeys[key] && value == "false":
		case key == "quantization_config":
			return fmt.Errorf("%w: config.json: quantization_config is set; convert the checkpoint to fp16 or fp32 first", ErrUnsupported)
		default:
			return fmt.Errorf("%w: config.json: key %q (%.40s) is not known for this family and may change what it computes", ErrUnsupported, key, oneLine(value))
		}
	}
	return nil
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// jsonKeys lists the JSON names of a struct's fields, embedded structs included.
func jsonKeys(t reflect.Type) map[string]bool {
	out := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			maps.Copy(out, jsonKeys(f.Type))
			continue
		}
		if name := f.Tag.Get("json"); name != "" {
			out[name] = true
		}
	}
	return out
}

// checkSizes refuses sizes that no network has, before anything is allocated by them.
func checkSizes(sizes map[string]int) error {
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		limit := 1 << 24
		if strings.HasSuffix(name, "layers") || strings.HasSuffix(name, "layer") {
			limit = 1 << 12
		}
		if v := sizes[name]; v < 1 || v > limit {
			return fmt.Errorf("%w: config.json: %s is %d", ErrUnsupported, name, v)
		}
	}
	return nil
}

// checkHeads refuses heads that do not divide the hidden size, and key heads that do not divide the heads; key
// names are the family's own, for hidden size, heads and key heads in this order.
func checkHeads(key [3]string, hidden, heads, kv int) error {
	switch {
	case hidden%heads != 0:
		return fmt.Errorf("%w: config.json: %s %d is not a multiple of %s %d", ErrUnsupported, key[0], hidden, key[1], heads)
	case heads%kv != 0:
		return fmt.Errorf("%w: config.json: %s %d is not a multiple of %s %d", ErrUnsupported, key[1], heads, key[2], kv)
	}
	return nil
}
