package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
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
	from    map[string]source // by Hugging Face's name
	heads   map[string]int    // of weights whose rows are to be put back in order
}

// source is where a weight lies: a tensor of the file, or one of several equal parts of it.
type source struct {
	tensor   string
	part, of int
}

// Open opens a GGUF file. Errors name the path and are gguf.ErrCorrupt,
// gguf.ErrUnsupported, or what the file system says.
func Open(path string) (*Checkpoint, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{file: f, from: map[string]source{}, heads: map[string]int{}}
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
		return fmt.Errorf("%w: general.architecture %q (known: %s)", gguf.ErrUnsupported, name, strings.Join(slices.Sorted(maps.Keys(families)), ", "))
	}
	if _, mixture := c.file.Info("blk.0.ffn_gate_exps.weight"); name == "llama" && mixture {
		c.family = mixtral
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
	if slices.Contains(c.family.factors, info.Name) {
		return nil // the config has them
	}
	name, ok := c.family.rename(info.Name)
	if !ok {
		return fmt.Errorf("%w: tensor %q is not known in general.architecture %s", gguf.ErrUnsupported, info.Name, strings.TrimSuffix(r.prefix, "."))
	}
	if strings.Contains(name, "%d") {
		return c.addParts(info, name)
	}
	if heads := r.rotated(info.Name); heads > 0 {
		if info.Shape[0]%int64(2*heads) != 0 {
			return fmt.Errorf("%w: tensor %q has %d rows for %d heads", gguf.ErrCorrupt, info.Name, info.Shape[0], heads)
		}
		c.heads[name] = heads
	}
	if strings.HasSuffix(name, "mlp.shared_expert_gate.weight") {
		info.Shape = []int64{1, int64(info.Values())} // a vector, or a matrix of one row
	}
	c.put(name, source{info.Name, 0, 1}, info.Shape)
	return nil
}

// addParts takes over a tensor that holds several weights, one for each step of its first dimension.
func (c *Checkpoint) addParts(info gguf.Info, name string) error {
	if len(info.Shape) < 2 || info.Shape[0] > maxParts {
		return fmt.Errorf("%w: tensor %q has the shape %v, and holds a weight for each head or expert", gguf.ErrCorrupt, info.Name, info.Shape)
	}
	n := int(info.Shape[0])
	for i := range n {
		c.put(fmt.Sprintf(name, i), source{info.Name, i, n}, info.Shape[1:])
	}
	return nil
}

// maxParts bounds the weights of one tensor.
const maxParts = 1 << 12

func (c *Checkpoint) put(name string, from source, shape []int64) {
	c.from[name] = from
	info := safetensors.Info{Name: name, Dtype: safetensors.F32, Shape: shape, Size: 4}
	for _, d := range shape {
		info.Size *= d
	}
	c.tensors = append(c.tensors, info)
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
	values, err := c.file.Part(from.tensor, from.part, from.of)
	if err != nil {
		return nil, err
	}
	if heads := c.heads[name]; heads > 0 {
		info, _ := c.file.Info(from.tensor) // from came from the file
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

func isNorm(name string) bool { return strings.HasSuffix(name, "norm.weight") }
