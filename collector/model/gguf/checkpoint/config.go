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
	c := map[string]any{
		"model_type":              r.family.modelType,
		"hidden_size":             hidden,
		"intermediate_size":       r.count("feed_forward_length"),
		"num_hidden_layers":       layers,
		"num_attention_heads":     heads,
		"num_key_value_heads":     r.countOr("attention.head_count_kv", heads),
		"head_dim":                width,
		"max_position_embeddings": r.count("context_length"),
		"rope_theta":              r.numberOr("rope.freq_base", "10000"),
		"vocab_size":              r.vocabulary(),
		"tie_word_embeddings":     r.tied(),
		r.family.act:              r.family.actName,
	}
	if key := r.family.layerNorm; key != "" {
		c[key] = r.number("attention.layer_norm_epsilon")
	} else {
		c["rms_norm_eps"] = r.number("attention.layer_norm_rms_epsilon")
	}
	r.turned(c, width)
	r.scaling(c)
	if r.family.more != nil {
		r.family.more(r, c)
	}
	text, err := json.Marshal(c)
	if err != nil {
		r.fail("config.json: %w", err)
	}
	return text
}

// checkKeys refuses keys of the architecture that are not known.
func (r *reader) checkKeys() {
	known := strings.Fields(sharedKeys + " " + r.family.keys + " attention.layer_norm_rms_epsilon")
	if r.family.layerNorm != "" {
		known[len(known)-1] = "attention.layer_norm_epsilon"
	}
	for _, key := range r.file.Keys() {
		if rest, ok := strings.CutPrefix(key, r.prefix); ok && !slices.Contains(known, rest) {
			r.fail("%w: key %s is not known here and may change what the model computes", gguf.ErrUnsupported, key)
		}
	}
}

// turned says how much of a head turns. It refuses values of another width than keys.
func (r *reader) turned(c map[string]any, width int) {
	if got := r.countOr("attention.value_length", width); got != width {
		r.fail("%w: key %sattention.value_length is %d, and a head has %d channels", gguf.ErrUnsupported, r.prefix, got, width)
	}
	dims := r.countOr("rope.dimension_count", width)
	switch {
	case dims == width && !r.family.partial:
	case r.family.partial && dims <= width:
		part := float64(dims) / float64(width)
		if int(float64(width)*part) < dims { // config.json's readers cut the product off
			part = math.Nextafter(part, 1)
		}
		c["partial_rotary_factor"] = part
	default:
		r.fail("%w: key %srope.dimension_count is %d, and a head has %d channels", gguf.ErrUnsupported, r.prefix, dims, width)
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
