package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"actfleet/collector/model/gguf"
	"actfleet/internal/safetensors"
)

// Checkpoint is an open GGUF file under Hugging Face's names. It is safe for
// concurrent use, except Close.
type Checkpoint struct {
	file    *gguf.File
	family  family
	config  []byte
	tensors []safetensors.Info
	from    map[string]string // Hugging Face's name to the file's
	heads   map[string]int    // of weights whose rows are to be put back in order
}

// Open opens a GGUF file. Errors name the path and are gguf.ErrCorrupt,
// gguf.ErrUnsupported, or what the file system says.
func Open(path string) (*Checkpoint, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{file: f, from: map[string]string{}, heads: map[string]int{}}
	if err := c.build(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return c, nil
}

func (c *Checkpoint) build() error {
	name, ok := gguf.Get[string](c.file, "general.architecture")
	if !ok {
		return fmt.Errorf("%w: no general.architecture", gguf.ErrCorrupt)
	}
	if c.family, ok = families[name]; !ok {
		return fmt.Errorf("%w: general.architecture %q", gguf.ErrUnsupported, name)
	}
	r := &reader{file: c.file, family: c.family, prefix: name + "."}
	c.config = r.config()
	if r.err != nil {
		return r.err
	}
	for _, info := range c.file.Tensors() {
		if err := c.add(info, r); err != nil {
			return err
		}
	}
	return nil
}

// add takes one tensor over.
func (c *Checkpoint) add(info gguf.Info, r *reader) error {
	name, ok := c.family.rename(info.Name)
	if !ok {
		return fmt.Errorf("%w: tensor %q is not known in general.architecture %s", gguf.ErrUnsupported, info.Name, c.family.name)
	}
	if heads := r.rotated(info.Name); heads > 0 {
		if info.Shape[0]%int64(2*heads) != 0 {
			return fmt.Errorf("%w: tensor %q has %d rows for %d heads", gguf.ErrCorrupt, info.Name, info.Shape[0], heads)
		}
		c.heads[name] = heads
	}
	c.from[name] = info.Name
	c.tensors = append(c.tensors, safetensors.Info{Name: name, Dtype: safetensors.F32, Shape: info.Shape, Size: int64(4 * info.Values())})
	return nil
}

// Config is the text of a config.json that describes the model.
func (c *Checkpoint) Config() []byte { return slices.Clone(c.config) }

// Tensors lists the weights, all of dtype F32. The caller must not change what it gets.
func (c *Checkpoint) Tensors() []safetensors.Info { return c.tensors }

// Float32s is a weight, row-major by its Info's shape, in a new slice.
// safetensors.ErrNoTensor when there is none of that name.
func (c *Checkpoint) Float32s(name string) ([]float32, error) {
	from, ok := c.from[name]
	if !ok {
		return nil, fmt.Errorf("tensor %q: %w", name, safetensors.ErrNoTensor)
	}
	values, err := c.file.Float32s(from)
	if err != nil {
		return nil, err
	}
	if heads := c.heads[name]; heads > 0 {
		info, _ := c.file.Info(from) // from came from the file
		values = unrotate(values, heads, int(info.Shape[0]))
	}
	if c.family.normPlusOne && isNorm(name) {
		for i := range values {
			values[i]--
		}
	}
	return values, nil
}

// Bytes is Float32s as little-endian bytes.
func (c *Checkpoint) Bytes(name string) ([]byte, error) {
	values, err := c.Float32s(name)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, 4*len(values))
	for i, v := range values {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	return raw, nil
}

// unrotate undoes the order that llama.cpp gives the rows of a head, where the two
// halves that a rotation mixes alternate: row 2i+j of a head is row j·width/2+i in
// Hugging Face's order.
func unrotate(values []float32, heads, rows int) []float32 {
	width, row := rows/heads, len(values)/rows
	out := make([]float32, len(values))
	for to := range rows {
		head, in := to/width, to%width
		j, i := in/(width/2), in%(width/2)
		at := head*width + 2*i + j
		copy(out[to*row:(to+1)*row], values[at*row:])
	}
	return out
}

// Digest is the hex SHA-256 of the file.
func (c *Checkpoint) Digest() (string, error) { return c.file.Digest() }

// Close closes the file. Closing again does nothing.
func (c *Checkpoint) Close() error { return c.file.Close() }

// family is how one architecture differs.
type family struct {
	name        string // general.architecture
	modelType   string // of config.json
	act         string // key of the activation in config.json
	actName     string
	rotates     bool // query and key rows are in llama.cpp's order
	normPlusOne bool // norms hold w + 1
	postNorms   bool // four norms to a block
	keys        string
}

const (
	sharedKeys = `context_length embedding_length block_count feed_forward_length attention.head_count
		attention.head_count_kv attention.layer_norm_rms_epsilon attention.key_length attention.value_length
		rope.freq_base rope.dimension_count vocab_size rope.scaling.type rope.scaling.factor`
	gelu = "gelu_pytorch_tanh"
)

var families = map[string]family{
	"llama":  {name: "llama", modelType: "llama", act: "hidden_act", actName: "silu", rotates: true, keys: sharedKeys},
	"qwen2":  {name: "qwen2", modelType: "qwen2", act: "hidden_act", actName: "silu", keys: sharedKeys},
	"qwen3":  {name: "qwen3", modelType: "qwen3", act: "hidden_act", actName: "silu", keys: sharedKeys},
	"gemma":  {name: "gemma", modelType: "gemma", act: "hidden_act", actName: gelu, normPlusOne: true, keys: sharedKeys},
	"gemma2": {name: "gemma2", modelType: "gemma2", act: "hidden_activation", actName: gelu, normPlusOne: true, postNorms: true, keys: sharedKeys + windowKeys},
	"gemma3": {name: "gemma3", modelType: "gemma3_text", act: "hidden_activation", actName: gelu, normPlusOne: true, postNorms: true, keys: sharedKeys + windowKeys},
}

const windowKeys = " attention.sliding_window attn_logit_softcapping final_logit_softcapping rope.freq_base_swa"

// outer are the tensors that are no block's; inner are a block's.
var (
	outer = map[string]string{"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
	inner = map[string]string{
		"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
		"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
		"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
		"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
	}
	postNormed = map[string]string{"ffn_norm": "pre_feedforward_layernorm",
		"post_attention_norm": "post_attention_layernorm", "post_ffw_norm": "post_feedforward_layernorm"}
)

// rename is Hugging Face's name of a tensor.
func (f family) rename(name string) (string, bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || name[dot:] != ".weight" && name[dot:] != ".bias" {
		return "", false
	}
	stem, end := name[:dot], name[dot:]
	if to, ok := outer[stem]; ok {
		return to + end, true
	}
	parts := strings.SplitN(stem, ".", 3)
	if len(parts) != 3 || parts[0] != "blk" {
		return "", false
	}
	to, ok := inner[parts[2]]
	if other, has := postNormed[parts[2]]; has && f.postNorms {
		to, ok = other, true
	}
	return "model.layers." + parts[1] + "." + to + end, ok
}

func isNorm(name string) bool { return strings.HasSuffix(name, "norm.weight") }
