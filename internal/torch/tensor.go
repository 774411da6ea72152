package torch

/*
#cgo noescape af_meta
#cgo nocallback af_meta
#cgo noescape af_item
#cgo noescape af_data
#include "shim/shim.h"
*/
import "C"

import (
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// maxDims bounds the dimensions of a tensor that this package describes.
const maxDims = 12

// Tensor is a libtorch tensor, owned by a [Scope] or kept by the caller. Its methods fail inside [Do] as the
// operators do; outside of Do they panic with an *[Error] when the tensor was freed.
type Tensor struct {
	c     lib.Ctensor // no Go pointer may stand beside it: its address is handed to C
	owner uint64      // number of the owning scope; 0 when kept
}

// in is t as an operand of op.
func (t *Tensor) in(op string) lib.Ctensor {
	if t == nil || t.c == nil {
		fail(op, "an operand is nil or was freed with its scope; Scope.Keep keeps it")
	}
	return t.c
}

// optional is t as an operand that may be missing (nil).
func (t *Tensor) optional(op string) lib.Ctensor {
	if t == nil {
		return nil
	}
	return t.in(op)
}

// Free ends a kept tensor. Freeing twice, or nil, does nothing.
func (t *Tensor) Free() {
	if t == nil || t.c == nil {
		return
	}
	freeAll([]unsafe.Pointer{unsafe.Pointer(t.c)})
	t.c = nil
}

type meta struct {
	dtype, device, contiguous, requiresGrad, dims int64
	shape                                         [maxDims]int64
}

func (t *Tensor) meta(op string) (m meta) {
	check(op, C.af_meta(unsafe.Pointer(t.in(op)), (*C.int64_t)(&m.dtype), maxDims))
	return m
}

// Shape is the size of every dimension.
func (t *Tensor) Shape() []int64 {
	m := t.meta("Shape")
	return append([]int64(nil), m.shape[:m.dims]...)
}

// Len is the number of elements.
func (t *Tensor) Len() int64 {
	m := t.meta("Len")
	n := int64(1)
	for _, d := range m.shape[:m.dims] {
		n *= d
	}
	return n
}

// Dtype is the type of the elements.
func (t *Tensor) Dtype() Dtype { return Dtype(t.meta("Dtype").dtype) }

// Device is where the elements lie.
func (t *Tensor) Device() Device { return Device(t.meta("Device").device) }

// Item is the value of a tensor with one element.
func (t *Tensor) Item() float64 {
	var v C.double
	check("Item", C.af_item(unsafe.Pointer(t.in("Item")), &v))
	return float64(v)
}

// Float32s is the memory of a contiguous F32 tensor on the CPU: not a copy, valid while t lives.
func (t *Tensor) Float32s() []float32 { return view[float32](t, "Float32s", F32) }

// Int64s is the memory of a contiguous I64 tensor on the CPU: not a copy, valid while t lives.
func (t *Tensor) Int64s() []int64 { return view[int64](t, "Int64s", I64) }

// Bools is the memory of a contiguous Bool tensor on the CPU: not a copy, valid while t lives.
func (t *Tensor) Bools() []bool { return view[bool](t, "Bools", Bool) }

// Bytes is the memory of a contiguous tensor of any type on the CPU, in the machine's byte order: not a copy,
// valid while t lives.
func (t *Tensor) Bytes() []byte {
	p, n, m := t.memory("Bytes")
	return unsafe.Slice((*byte)(p), n*Dtype(m.dtype).Size())
}

func view[E any](t *Tensor, op string, want Dtype) []E {
	p, n, m := t.memory(op)
	if got := Dtype(m.dtype); got != want {
		fail(op, "the tensor is "+got.String()+", not "+want.String()+"; Scope.To converts")
	}
	return unsafe.Slice((*E)(p), n)
}

func (t *Tensor) memory(op string) (p unsafe.Pointer, n int64, m meta) {
	m = t.meta(op)
	switch {
	case m.device != int64(CPU):
		fail(op, "the tensor is on "+Device(m.device).String()+"; Scope.ToDevice brings it")
	case m.contiguous == 0:
		fail(op, "the tensor is a strided view; Scope.Contiguous copies it")
	}
	n = 1
	for _, d := range m.shape[:m.dims] {
		n *= d
	}
	check(op, C.af_data(unsafe.Pointer(t.in(op)), &p))
	return p, n, m
}
