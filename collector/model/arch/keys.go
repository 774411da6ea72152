package arch

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Config is a config.json, and the keys of it that its reader was told to pass over without understanding them.
type Config struct {
	Text   []byte
	Accept []string
}

// harmlessKeys are keys of any config.json that do not change what a forward pass computes: what the checkpoint is
// called, how it was trained, saved and quantised away, how text is generated from it, which kernels compute it.
var harmlessKeys = set(`_attn_implementation _attn_implementation_autoset _attn_implementation_internal _commit_hash
	_experts_implementation _experts_implementation_internal _flash_attn_2_enabled _from_model_config _model_name_or_path _name_or_path
	architectures assistant_confidence_threshold assistant_early_exit assistant_ensemble_weight assistant_lookbehind
	attn_implementation auto_map bad_words_ids begin_suppress_tokens bos_token bos_token_id cache_config
	cache_implementation chunk_size_feed_forward cls_token_id compile_config constraints continuous_batching_config
	decoder_start_token_id disable_compile diversity_penalty do_sample dola_layers dtype early_stopping
	encoder_no_repeat_ngram_size encoder_repetition_penalty eos_token eos_token_id epsilon_cutoff eta_cutoff
	exponential_decay_length_penalty finetuning_task force_words_ids forced_bos_token_id forced_eos_token_id
	generation_config gradient_checkpointing gradient_checkpointing_use_reentrant guidance_scale id2label
	image_token_id image_token_index initializer_cutoff_factor initializer_factor initializer_range is_assistant
	is_decoder is_llama_config keys_to_ignore_at_inference label2id length_penalty low_memory mask_token_id
	max_cache_len max_length max_matching_ngram_size max_new_tokens max_sequence_length max_time min_length
	min_new_tokens min_p model_max_length model_name model_type no_repeat_ngram_size num_assistant_tokens
	num_assistant_tokens_schedule num_beam_groups num_beams num_labels num_return_sequences onnx output_attentions
	output_hidden_states output_logits output_router_logits output_scores pad_token pad_token_id penalty_alpha
	prefill_chunk_size prefix pretraining_tp problem_type prompt_lookup_num_tokens remove_invalid_values
	renormalize_logits repetition_penalty return_dict return_dict_in_generate sep_token_id sequence_bias
	speculation_type stop_strings suppress_tokens target_lookbehind task_specific_params temperature tf_legacy_loss
	token_healing tokenizer_class top_h top_k top_p torch_dtype torchscript transformers.js_config
	transformers_version transformers_weights typical_p unk_token_id unsloth_fixed unsloth_version use_bfloat16
	use_cache use_flash_attention use_flash_attention_2 use_flash_attn use_memory_efficient_attention use_mtp
	use_return_dict use_sdpa video_token_id watermarking_config xla_device`)

// mathKeys change what is computed; the words are the values of those that leave it as every family here computes it
// that does not read the key.
var mathKeys = map[string]string{
	"add_cross_attention": "false", "alibi": "false", "attention_bias": "false", "attention_multiplier": "",
	"attn_logit_softcapping": "", "causal": "true", "clip_qkv": "", "embedding_multiplier": "1", "embedding_size": "",
	"final_logit_softcapping": "", "head_dim": "", "is_causal": "true", "is_encoder_decoder": "false", "layer_norm_rms_first": "",
	"layer_types": "", "logit_scale": "1", "logits_scaling": "1", "lm_head_multiplier": "1", "mlp_bias": "false", "moe_intermediate_size": "",
	"multi_query": "false", "n_routed_experts": "0", "new_decoder_architecture": "false", "num_experts": "0", "num_experts_per_tok": "",
	"num_local_experts": "0", "num_kv_shared_layers": "0", "parallel_attn": "", "pruned_heads": "{}", "partial_rotary_factor": "1", "qk_layernorm": "false",
	"qk_norm": "false", "quantization": "", "compression_config": "", "quantization_config": "", "query_pre_attn_scalar": "", "residual_multiplier": "1", "rope_interleaved": "false",
	"rope_local_base_freq": "", "rope_parameters": "", "rope_scaling": "", "rope_theta": "", "rotary_dim": "", "rotary_emb_base": "",
	"rotary_pct": "1", "scale_attn_by_inverse_layer_idx": "false", "scale_attn_weights": "true", "sliding_window": "",
	"sliding_window_pattern": "", "tie_encoder_decoder": "false", "use_alibi": "false", "use_bidirectional_attention": "false",
	"use_parallel_residual": "", "use_qk_norm": "false", "use_sliding_window": "false", "window_size": "",
}

// mathStems are parts of names that only keys have which change what is computed.
var mathStems = []string{"softcap", "_multiplier", "bidirectional"}

func set(words string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(words) {
		out[w] = true
	}
	return out
}

// A deriver names keys that a family does not read, because others decide them, with the value they then have.
type deriver interface{ derived() map[string]int }

// reading is one config.json on its way into a struct.
type reading struct {
	values   map[string]json.RawMessage
	known    map[string]bool // the struct's
	harmless map[string]bool // the family's own
	accept   []string
	derived  map[string]int
}

// parse reads config.json into config, a pointer to a struct that holds the defaults of absent keys. A key that
// neither the struct nor the list of harmless keys knows is refused unless its value is null or false: it may change
// the mathematics. A key that is null counts as absent.
func parse(text Config, config any, harmless string) error {
	if err := readJSON(text.Text, config); err != nil {
		return err
	}
	r := reading{known: jsonKeys(reflect.TypeOf(config).Elem()), harmless: set(harmless), accept: text.Accept}
	if d, ok := config.(deriver); ok {
		r.derived = d.derived()
	}
	if err := readJSON(text.Text, &r.values); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(r.values)) {
		if err := r.check(key, string(r.values[key])); err != nil {
			return err
		}
	}
	return r.checkAccepted()
}

// check refuses a key that may change the mathematics.
func (r *reading) check(key, value string) error {
	derived, isDerived := r.derived[key]
	switch {
	case strings.Contains(key, "norm_eps") && strings.HasPrefix(value, "-"):
		return fmt.Errorf("%w: config.json: %s is %.40s; a norm divides by the root of the variance plus it", ErrUnsupported, key, value)
	case value == "null", r.known[key], harmlessKeys[key], r.harmless[key], isDropout(key):
	case isDerived && isOneOf(value, strconv.Itoa(derived)):
	case isDerived:
		return fmt.Errorf("%w: config.json: %s is %.40s, and the other keys make it %d", ErrUnsupported, key, oneLine(value), derived)
	case isMath(key) && isOneOf(value, mathKeys[key]), key == "layer_types" && !r.known["sliding_window"] && allFull(value):
	case key == "quantization_config":
		return fmt.Errorf("%w: config.json: quantization_config is set (%.60s), and that is not read here; "+
			"convert the checkpoint to fp16 or fp32 first", ErrUnsupported, oneLine(value))
	case isMath(key):
		return fmt.Errorf("%w: config.json: key %q (%.40s) changes what the model computes, and this family does not know it here",
			ErrUnsupported, key, oneLine(value))
	case value == "false", slices.Contains(r.accept, key):
	default:
		return fmt.Errorf("%w: config.json: key %q (%.40s) is not known for this family and may change what it computes; "+
			"--accept %s passes over it, and `actfleet check --parity MODEL --python VENV --accept %s` says then whether the activations are transformers'",
			ErrUnsupported, key, oneLine(value), quoteKey(key), quoteKey(key))
	}
	return nil
}

// checkAccepted refuses to pass over keys that are understood, that are known to matter, or that are not there.
func (r *reading) checkAccepted() error {
	for _, key := range r.accept {
		_, there := r.values[key]
		switch {
		case !there:
			return fmt.Errorf("--accept %s: config.json has no such key", key)
		case r.known[key]:
			return fmt.Errorf("--accept %s: this key is understood, and what it says is done", key)
		}
	}
	return nil
}

// isDropout says whether a key is about dropout, which training alone has.
func isDropout(key string) bool {
	return strings.HasSuffix(key, "dropout") || strings.HasSuffix(key, "dropout_prob") || strings.HasSuffix(key, "pdrop")
}

// isMath says whether a key is known to change what some family computes.
func isMath(key string) bool {
	if _, ok := mathKeys[key]; ok {
		return true
	}
	return slices.ContainsFunc(mathStems, func(stem string) bool { return strings.Contains(key, stem) })
}

// isOneOf compares a JSON value with words; numbers are equal by value.
func isOneOf(value, words string) bool {
	v, err := strconv.ParseFloat(value, 64)
	return slices.ContainsFunc(strings.Fields(words), func(word string) bool {
		w, other := strconv.ParseFloat(word, 64)
		return value == word || err == nil && other == nil && v == w
	})
}

// allFull says whether layer_types gives every layer full attention.
func allFull(value string) bool {
	var types []string
	err := json.Unmarshal([]byte(value), &types)
	return err == nil && !slices.ContainsFunc(types, func(t string) bool { return t != "full_attention" })
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// quoteKey is a key as a shell takes it.
func quoteKey(key string) string {
	if strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == "" {
		return key
	}
	return "'" + strings.ReplaceAll(oneLine(key), "'", `'\''`) + "'"
}

// readJSON is json.Unmarshal of a config.json with errors in words.
func readJSON(text []byte, into any) error {
	err := json.Unmarshal(text, into)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong) && wrong.Field == "":
		return fmt.Errorf("%w: config.json holds a JSON %s, and it must be an object {…} of keys", ErrUnsupported, wrong.Value)
	case errors.As(err, &wrong):
		key := wrong.Field[strings.LastIndexByte(wrong.Field, '.')+1:]
		return fmt.Errorf("%w: config.json: %s is a %.60s, and it must be %s", ErrUnsupported, key, wrong.Value, inWords(wrong.Type))
	}
	return fmt.Errorf("%w: config.json is not JSON: %w", ErrUnsupported, err)
}

// inWords is a Go type as a reader of config.json calls it.
func inWords(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list"
	}
	return "an object {…}"
}

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
