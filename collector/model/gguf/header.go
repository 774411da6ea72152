package gguf

import (
	"errors"
	"fmt"
)

// What is wrong with a file.
var (
	// ErrCorrupt says that a file breaks the format or contradicts itself.
	ErrCorrupt = errors.New("corrupt GGUF file")
	// ErrUnsupported says that a file is well-formed and holds what is not read here.
	ErrUnsupported = errors.New("unsupported GGUF file")
)

// Bounds far above real files (Gemma 3: 262,144 tokens, 514,906 merges, 40 keys).
const (
	maxTensors  = 1 << 16
	maxKeys     = 1 << 16
	maxElements = 1 << 24 // of all arrays together
	maxName     = 1 << 10 // bytes of a tensor's name or a key
	maxAlign    = 1 << 20
)

type header struct {
	meta    map[string]any
	keys    []string // in the file's order
	tensors []Info   // in the order of their data
	base    int      // where the data begins
}

// parse reads and checks everything before the data.
func parse(data []byte) (header, error) {
	if len(data) == 0 {
		return header{}, fmt.Errorf("%w: empty file", ErrCorrupt)
	}
	c := &cursor{data: data}
	tensors, keys, err := c.counts()
	if err != nil {
		return header{}, err
	}
	h := header{meta: make(map[string]any, min(keys, 64))}
	budget := maxElements
	for range keys {
		if err := h.key(c, &budget); err != nil {
			return header{}, err
		}
	}
	if n, ok := h.meta["split.count"].(int64); ok && n > 1 {
		return header{}, fmt.Errorf("%w: the first of %d files of one model (join them with llama-gguf-split --merge)", ErrUnsupported, n)
	}
	for range tensors {
		t, err := c.tensor()
		if err != nil {
			return header{}, err
		}
		h.tensors = append(h.tensors, t)
	}
	return h, h.place(c)
}

// counts reads the magic, the version, and how many tensors and keys there are.
func (c *cursor) counts() (tensors, keys int, err error) {
	magic, err := c.take(4)
	if err != nil || string(magic) != "GGUF" {
		return 0, 0, fmt.Errorf("%w: it does not begin with GGUF", ErrCorrupt)
	}
	version, err := c.u32()
	switch {
	case err != nil:
		return 0, 0, err
	case version > 0 && version < 1<<24 && version&0xffff == 0, version >= 1<<24:
		return 0, 0, fmt.Errorf("%w: big-endian", ErrUnsupported)
	case version != 2 && version != 3:
		return 0, 0, fmt.Errorf("%w: version %d (2 and 3 are read)", ErrUnsupported, version)
	}
	t, err := c.u64()
	if err != nil {
		return 0, 0, err
	}
	k, err := c.u64()
	if err != nil {
		return 0, 0, err
	}
	if t > maxTensors || k > maxKeys {
		return 0, 0, fmt.Errorf("%w: %d tensors and %d keys", ErrCorrupt, t, k)
	}
	return int(t), int(k), nil
}

// key reads one key and its value.
func (h *header) key(c *cursor, budget *int) error {
	name, err := c.name()
	if err != nil {
		return err
	}
	k, err := c.u32()
	if err != nil {
		return err
	}
	if _, twice := h.meta[name]; twice {
		return fmt.Errorf("%w: key %q is there twice", ErrCorrupt, name)
	}
	v, err := c.value(kind(k), budget)
	if err != nil {
		return fmt.Errorf("key %q: %w", name, err)
	}
	h.meta[name] = v
	h.keys = append(h.keys, name)
	return nil
}
