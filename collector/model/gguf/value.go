package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// kind is the type of a metadata value, with the format's numbers.
type kind uint32

const (
	kindU8 kind = iota
	kindI8
	kindU16
	kindI16
	kindU32
	kindI32
	kindF32
	kindBool
	kindString
	kindArray
	kindU64
	kindI64
	kindF64
)

// sizes are the least bytes that a value of each kind takes.
var sizes = map[kind]int{kindU8: 1, kindI8: 1, kindU16: 2, kindI16: 2, kindU32: 4, kindI32: 4, kindF32: 4,
	kindBool: 1, kindString: 8, kindArray: 12, kindU64: 8, kindI64: 8, kindF64: 8}

// value reads one value: int64, float64, bool, string, or a slice of these.
func (c *cursor) value(k kind, budget *int) (any, error) {
	switch k {
	case kindF32:
		v, err := c.u32()
		return float64(math.Float32frombits(v)), err
	case kindF64:
		v, err := c.u64()
		return math.Float64frombits(v), err
	case kindString:
		return c.text()
	case kindArray:
		return c.array(budget)
	case kindBool:
		b, err := c.take(1)
		if err != nil || b[0] > 1 {
			return nil, fmt.Errorf("%w: a bool that is neither 0 nor 1", ErrCorrupt)
		}
		return b[0] == 1, nil
	}
	return c.integer(k)
}

// integer reads a whole number of any width.
func (c *cursor) integer(k kind) (any, error) {
	size, ok := sizes[k]
	if !ok {
		return nil, fmt.Errorf("%w: value of type %d", ErrCorrupt, k)
	}
	b, err := c.take(size)
	if err != nil {
		return nil, err
	}
	var u uint64
	for i, x := range b {
		u |= uint64(x) << (8 * i)
	}
	switch k {
	case kindI8, kindI16, kindI32, kindI64:
		shift := 64 - 8*size
		return int64(u) << shift >> shift, nil
	}
	if u > math.MaxInt64 {
		return nil, fmt.Errorf("%w: number %d is too large", ErrCorrupt, u)
	}
	return int64(u), nil
}

// array reads an array of strings or of numbers; budget is how many elements all
// arrays of the file may still have.
func (c *cursor) array(budget *int) (any, error) {
	t, err := c.u32()
	if err != nil {
		return nil, err
	}
	n, err := c.u64()
	if err != nil {
		return nil, err
	}
	size, ok := sizes[kind(t)]
	switch {
	case !ok || kind(t) == kindArray:
		return nil, fmt.Errorf("%w: array of type %d", ErrUnsupported, t)
	case n > uint64(len(c.data)-c.at)/uint64(size):
		return nil, fmt.Errorf("%w: array of %d elements ends behind the file", ErrCorrupt, n)
	case n > uint64(*budget):
		return nil, fmt.Errorf("%w: arrays have more than %d elements", ErrCorrupt, maxElements)
	}
	*budget -= int(n)
	switch kind(t) {
	case kindString:
		return elements[string](c, kind(t), int(n))
	case kindBool:
		return elements[bool](c, kind(t), int(n))
	case kindF32, kindF64:
		return elements[float64](c, kind(t), int(n))
	}
	return elements[int64](c, kind(t), int(n))
}

func elements[T any](c *cursor, k kind, n int) (any, error) {
	out := make([]T, n)
	for i := range out {
		v, err := c.value(k, nil)
		if err != nil {
			return nil, err
		}
		out[i] = v.(T) // value gives this type for this kind
	}
	return out, nil
}

// Get is the value of a metadata key as T: int64 for whole numbers of any width,
// float64, bool, string, or a slice of one of these. ok is false when the file does
// not have the key or holds another type there.
func Get[T int64 | float64 | bool | string | []int64 | []float64 | []bool | []string](f *File, key string) (v T, ok bool) {
	v, ok = f.head.meta[key].(T)
	return v, ok
}

// cursor reads little-endian numbers from a file in memory.
type cursor struct {
	data []byte
	at   int
}

func (c *cursor) take(n int) ([]byte, error) {
	if n > len(c.data)-c.at {
		return nil, fmt.Errorf("%w: it ends at byte %d, inside of the header", ErrCorrupt, len(c.data))
	}
	c.at += n
	return c.data[c.at-n : c.at], nil
}

func (c *cursor) u32() (uint32, error) {
	b, err := c.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (c *cursor) u64() (uint64, error) {
	b, err := c.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// text reads a string: its length and its bytes.
func (c *cursor) text() (string, error) {
	n, err := c.u64()
	if err != nil {
		return "", err
	}
	if n > uint64(len(c.data)-c.at) {
		return "", fmt.Errorf("%w: a string of %d bytes ends behind the file", ErrCorrupt, n)
	}
	b, err := c.take(int(n))
	return string(b), err
}

// name reads the name of a tensor or a key.
func (c *cursor) name() (string, error) {
	s, err := c.text()
	if err == nil && (s == "" || len(s) > maxName || !utf8.ValidString(s)) {
		return "", fmt.Errorf("%w: a name of %d bytes that is empty, too long or no UTF-8", ErrCorrupt, len(s))
	}
	return s, err
}
