package gguf

import (
	"fmt"
	"slices"
)

// Info describes a tensor.
type Info struct {
	Name  string
	Dtype Dtype
	Shape []int64 // slowest dimension first, as numpy and safetensors have it
	Size  int     // bytes in the file

	begin int // from the beginning of the data
}

// Values is the number of values.
func (i Info) Values() int {
	n := 1
	for _, d := range i.Shape {
		n *= int(d)
	}
	return n
}

// tensor reads one tensor's description.
func (c *cursor) tensor() (Info, error) {
	name, err := c.name()
	if err != nil {
		return Info{}, err
	}
	n, err := c.u32()
	if err != nil {
		return Info{}, err
	}
	if n < 1 || n > 4 {
		return Info{}, fmt.Errorf("%w: tensor %q has %d dimensions", ErrCorrupt, name, n)
	}
	t := Info{Name: name, Shape: make([]int64, n)}
	for i := range t.Shape {
		d, err := c.u64()
		if err != nil {
			return Info{}, err
		}
		if d < 1 || d > 1<<40 {
			return Info{}, fmt.Errorf("%w: tensor %q has a dimension of %d", ErrCorrupt, name, d)
		}
		t.Shape[int(n)-1-i] = int64(d) // the file has the fastest first
	}
	kind, err := c.u32()
	if err != nil {
		return Info{}, err
	}
	offset, err := c.u64()
	if err != nil {
		return Info{}, err
	}
	t.Dtype = Dtype(kind)
	return t, t.measure(offset, len(c.data))
}

// measure computes the size and checks it and the offset against the file's length.
func (i *Info) measure(offset uint64, length int) error {
	l, ok := layouts[i.Dtype]
	if !ok {
		return fmt.Errorf("%w: tensor %q is %s (F32, F16, BF16 and ggml's Q, K, IQ, TQ, MXFP4 and NVFP4 types are read)",
			ErrUnsupported, i.Name, i.Dtype)
	}
	row := i.Shape[len(i.Shape)-1]
	if row%int64(l.values) != 0 {
		return fmt.Errorf("%w: tensor %q: rows of %d values are no whole blocks of %s", ErrCorrupt, i.Name, row, i.Dtype)
	}
	size := uint64(row) / uint64(l.values) * uint64(l.bytes)
	for _, d := range i.Shape[:len(i.Shape)-1] {
		if uint64(d) > uint64(length)/size {
			return i.beyond()
		}
		size *= uint64(d)
	}
	if size > uint64(length) || offset > uint64(length)-size {
		return i.beyond()
	}
	i.begin, i.Size = int(offset), int(size)
	return nil
}

func (i *Info) beyond() error {
	return fmt.Errorf("%w: tensor %q %v of %s ends behind the file (half downloaded?)", ErrCorrupt, i.Name, i.Shape, i.Dtype)
}

// place finds where the data begins and checks that the tensors lie in it one behind
// the other.
func (h *header) place(c *cursor) error {
	align := int64(32)
	if v, ok := h.meta["general.alignment"]; ok {
		align, ok = v.(int64)
		if !ok || align < 8 || align > maxAlign || align%8 != 0 {
			return fmt.Errorf("%w: general.alignment is %v", ErrCorrupt, v)
		}
	}
	h.base = (c.at + int(align) - 1) / int(align) * int(align)
	slices.SortStableFunc(h.tensors, func(a, b Info) int { return a.begin - b.begin })
	names := make(map[string]bool, len(h.tensors))
	end := 0
	for _, t := range h.tensors {
		switch {
		case names[t.Name]:
			return fmt.Errorf("%w: tensor %q is there twice", ErrCorrupt, t.Name)
		case t.begin%int(align) != 0:
			return fmt.Errorf("%w: tensor %q begins at %d, not at a multiple of %d", ErrCorrupt, t.Name, t.begin, align)
		case t.begin < end:
			return fmt.Errorf("%w: tensor %q lies over another", ErrCorrupt, t.Name)
		}
		names[t.Name] = true
		if end = t.begin + t.Size; h.base > len(c.data) || end > len(c.data)-h.base {
			return t.beyond()
		}
	}
	return nil
}
