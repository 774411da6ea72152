package checkpoint

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"actfleet/collector/model/gguf"
)

// reader reads an architecture's keys; the first failure stays in err.
type reader struct {
	file   *gguf.File
	family family
	prefix string
	err    error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *reader) has(key string) bool { return slices.Contains(r.file.Keys(), r.prefix+key) }

// count reads a whole number of at least one.
func (r *reader) count(key string) int {
	v, ok := gguf.Get[int64](r.file, r.prefix+key)
	if !ok || v < 1 || v > math.MaxInt32 {
		r.fail("%w: key %s%s is missing or no positive number (one for all layers)", gguf.ErrCorrupt, r.prefix, key)
		return 1
	}
	return int(v)
}

func (r *reader) countOr(key string, otherwise int) int {
	if !r.has(key) {
		return otherwise
	}
	return r.count(key)
}

// number reads a 32-bit float in its shortest decimal form, as config.json has it.
func (r *reader) number(key string) json.Number {
	v, ok := gguf.Get[float64](r.file, r.prefix+key)
	if !ok || math.IsInf(v, 0) || math.IsNaN(v) {
		r.fail("%w: key %s%s is missing or no number", gguf.ErrCorrupt, r.prefix, key)
		return "0"
	}
	return json.Number(strconv.FormatFloat(v, 'g', -1, 32))
}

func (r *reader) numberOr(key string, otherwise json.Number) json.Number {
	if !r.has(key) {
		return otherwise
	}
	return r.number(key)
}

// rotated is the number of heads of a weight whose rows are in llama.cpp's order, 0
// for any other.
func (r *reader) rotated(name string) int {
	if !r.family.rotates || !strings.HasPrefix(name, "blk.") {
		return 0
	}
	heads := r.count("attention.head_count")
	switch strings.SplitN(name, ".", 4)[2] {
	case "attn_q":
		return heads
	case "attn_k":
		return r.countOr("attention.head_count_kv", heads)
	}
	return 0
}

// config is the text of config.json.
func (r *reader) config() []byte {
	r.checkKeys()
	heads, hidden, layers := r.count("attention.head_count"), r.count("embedding_length"), r.count("block_count")
	width := r.countOr("attention.key_length", max(1, hidden/heads))
	r.checkWidth(width)
	c := map[string]any{
		"model_type":              r.family.modelType,
		"hidden_size":             hidden,
		"intermediate_size":       r.count("feed_forward_length"),
		"num_hidden_layers":       layers,
		"num_attention_heads":     heads,
		"num_key_value_heads":     r.countOr("attention.head_count_kv", heads),
		"head_dim":                width,
		"max_position_embeddings": r.count("context_length"),
		"rms_norm_eps":            r.number("attention.layer_norm_rms_epsilon"),
		"rope_theta":              r.numberOr("rope.freq_base", "10000"),
		"vocab_size":              r.vocabulary(),
		"tie_word_embeddings":     r.tied(),
		r.family.act:              r.family.actName,
	}
	r.biases(c)
	r.scaling(c)
	if r.family.postNorms {
		r.gemma(c, queryScalar(r.family.name, layers, hidden, heads, width))
	}
	text, err := json.Marshal(c)
	if err != nil {
		r.fail("config.json: %w", err)
	}
	return text
}

// checkKeys refuses keys of the architecture that are not known.
func (r *reader) checkKeys() {
	known := strings.Fields(r.family.keys)
	for _, key := range r.file.Keys() {
		if rest, ok := strings.CutPrefix(key, r.prefix); ok && !slices.Contains(known, rest) {
			r.fail("%w: key %s is not known here and may change what the model computes", gguf.ErrUnsupported, key)
		}
	}
}

// checkWidth refuses values of another width than keys, and rotations of a part.
func (r *reader) checkWidth(width int) {
	for _, key := range []string{"attention.value_length", "rope.dimension_count"} {
		if got := r.countOr(key, width); got != width {
			r.fail("%w: key %s%s is %d, and a head has %d channels", gguf.ErrUnsupported, r.prefix, key, got, width)
		}
	}
}

// vocabulary is the number of rows of the embedding.
func (r *reader) vocabulary() int {
	info, ok := r.file.Info("token_embd.weight")
	if !ok {
		r.fail("%w: no tensor token_embd.weight", gguf.ErrCorrupt)
		return 1
	}
	return int(info.Shape[0])
}

func (r *reader) tied() bool {
	_, own := r.file.Info("output.weight")
	return !own
}

// biases says which layers have one; Qwen 2 always has the same.
func (r *reader) biases(c map[string]any) {
	if r.family.name == "qwen2" {
		return
	}
	if _, has := r.file.Info("blk.0.attn_q.bias"); has {
		c["attention_bias"] = true
	}
	if _, has := r.file.Info("blk.0.ffn_up.bias"); has {
		c["mlp_bias"] = true
	}
}

// scaling knows none and linear.
func (r *reader) scaling(c map[string]any) {
	if !r.has("rope.scaling.type") {
		return
	}
	switch kind, _ := gguf.Get[string](r.file, r.prefix+"rope.scaling.type"); kind {
	case "none":
	case "linear":
		c["rope_scaling"] = map[string]any{"rope_type": "linear", "factor": r.number("rope.scaling.factor")}
	default:
		r.fail("%w: key %srope.scaling.type is %q", gguf.ErrUnsupported, r.prefix, kind)
	}
}

// gemma adds what Gemma 2 and 3 have. The file does not hold the query scalar.
func (r *reader) gemma(c map[string]any, scalar int) {
	c["query_pre_attn_scalar"] = scalar
	if r.has("attention.sliding_window") {
		c["sliding_window"] = r.count("attention.sliding_window")
	}
	if r.family.name == "gemma3" {
		c["rope_local_base_freq"] = r.numberOr("rope.freq_base_swa", "10000")
		if !r.has("rope.freq_base") {
			c["rope_theta"] = json.Number("1000000")
		}
	}
	for _, key := range []string{"attn_logit_softcapping", "final_logit_softcapping"} {
		if r.has(key) {
			c[key] = r.number(key)
		}
	}
}

// queryScalar is the head's width, but for the 27B models (46 layers in Gemma 2, 62 in
// Gemma 3), where it is hidden/heads: llama.cpp, src/llama-model.cpp, f_attention_scale.
func queryScalar(name string, layers, hidden, heads, width int) int {
	if name == "gemma2" && layers == 46 || name == "gemma3" && layers == 62 {
		return hidden / heads
	}
	return width
}
