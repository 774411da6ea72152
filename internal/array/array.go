// Package array is the arrays of numbers that files of weights hold: a name, a shape, a type and little-endian
// bytes, which are turned into values when they are asked for.
//
// Guaranteed: an Array never shows more elements than it has bytes for, wherever its shape and its steps come
// from; nothing is allocated for a shape alone. It needs neither libtorch nor cgo.
package array

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"actfleet/internal/safetensors"
)

// ErrFormat says that bytes are not the array they are said to be.
var ErrFormat = errors.New("no array that can be read")

// Array is an array of a file.
type Array struct {
	Name  string
	Shape []int // [] is a single value
	Dtype safetensors.Dtype

	raw   []byte // little-endian, from the first element on
	steps []int  // from one element to the next in each dimension, in elements; nil is row-major
}

// Number is a type that a program here gives arrays of.
type Number interface{ float32 | int32 | int64 }

// Of is an array of values in row-major order, which it shares.
func Of[T Number](name string, shape []int, v []T) Array {
	a := Array{Name: name, Shape: shape, Dtype: safetensors.F32}
	switch any(v).(type) {
	case []int32:
		a.Dtype = safetensors.I32
	case []int64:
		a.Dtype = safetensors.I64
	}
	if len(v) > 0 {
		a.raw = unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*int(unsafe.Sizeof(v[0])))
	}
	return a
}

// View is an array whose elements lie in raw, in row-major order where steps is nil. Every element must lie
// inside, and they may not be more than raw has.
func View(name string, d safetensors.Dtype, shape, steps []int, raw []byte) (Array, error) {
	a := Array{Name: name, Shape: shape, Dtype: d, raw: raw, steps: steps}
	n, size := Elements(shape), d.Size()
	if n < 0 || size == 0 || n > len(raw)/size {
		return a, fmt.Errorf("%w: %d bytes for the shape %v of %s", ErrFormat, len(raw), shape, d)
	}
	if n == 0 || steps == nil || slices.Equal(steps, RowMajor(shape)) {
		a.steps, a.raw = nil, raw[:n*size]
		return a, nil
	}
	if len(steps) != len(shape) || len(shape) > maxDims {
		return a, fmt.Errorf("%w: %d steps for a shape of %d dimensions", ErrFormat, len(steps), len(shape))
	}
	last, room := 0, len(raw)/size
	for i, d := range shape {
		if steps[i] < 0 || d > 1 && steps[i] > (room-1)/(d-1) {
			return a, fmt.Errorf("%w: steps of %v for the shape %v leave the %d values there are", ErrFormat, steps, shape, room)
		}
		last += max(d-1, 0) * steps[i] // each is below room, and shapes are short
	}
	if last >= room {
		return a, fmt.Errorf("%w: steps of %v for the shape %v leave the %d values there are", ErrFormat, steps, shape, room)
	}
	return a, nil
}

const maxDims = 8 // of an array with steps of its own

// Elements of a shape, or -1 when it is none or has more than 2⁴⁰.
func Elements(shape []int) int {
	n := 1
	for _, d := range shape {
		if d < 0 || d > 0 && n > (1<<40)/d {
			return -1
		}
		n *= d
	}
	return n
}

// RowMajor is the steps of a shape whose elements lie one after the other.
func RowMajor(shape []int) []int {
	out := make([]int, len(shape))
	for i, n := len(shape)-1, 1; i >= 0; i-- {
		out[i] = n
		n *= shape[i]
	}
	return out
}

// Bytes are the elements in row-major order, little-endian.
func (a Array) Bytes() []byte {
	if a.steps == nil {
		return a.raw
	}
	size, n := a.Dtype.Size(), Elements(a.Shape)
	out := make([]byte, 0, n*size)
	index := make([]int, len(a.Shape))
	for range n {
		at := 0
		for i, k := range index {
			at += k * a.steps[i] * size
		}
		out = append(out, a.raw[at:at+size]...)
		for i := len(index) - 1; i >= 0; i-- {
			if index[i]++; index[i] < a.Shape[i] {
				break
			}
			index[i] = 0
		}
	}
	return out
}

// Float32s are the elements of an array of floats in row-major order. A value that is not finite is an error that
// names the array.
func (a Array) Float32s() ([]float32, error) {
	v, err := safetensors.ToFloat32(a.Dtype, a.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%w: %q is of %s: %v", ErrFormat, a.Name, a.Dtype, err)
	}
	for i, x := range v {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return nil, fmt.Errorf("%w: %q holds %v at element %d", ErrFormat, a.Name, x, i)
		}
	}
	return v, nil
}

// Int is the value of an array that holds one whole number, of whatever type.
func (a Array) Int() (int, error) {
	raw := a.Bytes()
	if Elements(a.Shape) != 1 {
		return 0, fmt.Errorf("%w: %q has the shape %v, not that of one number", ErrFormat, a.Name, a.Shape)
	}
	switch a.Dtype {
	case safetensors.I64:
		return int(int64(binary.LittleEndian.Uint64(raw))), nil
	case safetensors.I32:
		return int(int32(binary.LittleEndian.Uint32(raw))), nil
	case safetensors.I16:
		return int(int16(binary.LittleEndian.Uint16(raw))), nil
	}
	v, err := a.Float32s()
	if err != nil {
		return 0, err
	}
	if n := int(v[0]); float32(n) == v[0] {
		return n, nil
	}
	return 0, fmt.Errorf("%w: %q is %v, not a whole number", ErrFormat, a.Name, v[0])
}
