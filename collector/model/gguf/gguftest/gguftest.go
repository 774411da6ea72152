// Package gguftest writes small GGUF files for tests.
package gguftest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// File is what a file is to hold. Meta values are string, bool, int (written as 32-bit
// unsigned), float64 (written as 32-bit), []string, []int32 or []float32.
type File struct {
	Meta    map[string]any
	Tensors []Tensor
}

// Tensor is one tensor of 32-bit floats, slowest dimension first.
type Tensor struct {
	Name   string
	Shape  []int64
	Values []float32
}

// Bytes is the file, version 3 with an alignment of 32. A value of any other type
// panics: the file is a test's own.
func (f File) Bytes() []byte {
	var b bytes.Buffer
	b.WriteString("GGUF")
	put(&b, uint32(3), uint64(len(f.Tensors)), uint64(len(f.Meta)))
	for _, key := range slices.Sorted(maps.Keys(f.Meta)) {
		text(&b, key)
		value(&b, f.Meta[key])
	}
	at := 0
	for _, t := range f.Tensors {
		text(&b, t.Name)
		put(&b, uint32(len(t.Shape)))
		for _, d := range slices.Backward(t.Shape) {
			put(&b, uint64(d))
		}
		put(&b, uint32(0), uint64(at))
		at += pad(4 * len(t.Values))
	}
	b.Write(make([]byte, pad(b.Len())-b.Len()))
	for _, t := range f.Tensors {
		put(&b, t.Values)
		b.Write(make([]byte, pad(b.Len())-b.Len()))
	}
	return b.Bytes()
}

func pad(n int) int { return (n + 31) / 32 * 32 }

func put(b *bytes.Buffer, values ...any) {
	for _, v := range values {
		_ = binary.Write(b, binary.LittleEndian, v) // a buffer takes all
	}
}

func text(b *bytes.Buffer, s string) {
	put(b, uint64(len(s)))
	b.WriteString(s)
}

// The numbers of the value types: the format's documentation.
func value(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case string:
		put(b, uint32(8))
		text(b, v)
	case bool:
		put(b, uint32(7), v)
	case int:
		put(b, uint32(4), uint32(v))
	case float64:
		put(b, uint32(6), float32(v))
	case []int32:
		put(b, uint32(9), uint32(5), uint64(len(v)), v)
	case []float32:
		put(b, uint32(9), uint32(6), uint64(len(v)), v)
	case []string:
		put(b, uint32(9), uint32(8), uint64(len(v)))
		for _, s := range v {
			text(b, s)
		}
	default:
		panic(fmt.Sprintf("gguftest: a value of type %T", v))
	}
}
