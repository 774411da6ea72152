package torch

/*
#cgo noescape af_linear
#cgo nocallback af_linear
#include "linear.h"
*/
import "C"

import (
	"sync"
	"unsafe"
)

// fastLinear says whether the CPU has the instructions of the kernel. Tests switch it off.
var fastLinear = C.af_linear_fast() != 0

// leastRows is how many rows the kernel needs to be worth turning the weights for.
const leastRows = 4

// product is one of [Scope.Linear] that the kernel can compute.
type product struct {
	x, w, b    *float32 // b may be nil
	n, in, out int64
	shape      []int64 // of the result
}

// product describes x·wᵀ + b where all lie in order in the CPU's memory as F32, autograd is off, and there are rows enough.
func (s *Scope) product(x, w, b *Tensor) (p product, ok bool) {
	if !fastLinear || !s.kernel("Linear", x, w) || b != nil && !b.plain("Linear") {
		return p, false
	}
	shape, weights := x.Shape(), w.Shape()
	if len(shape) == 0 || len(weights) != 2 || weights[1] != shape[len(shape)-1] || b != nil && b.Len() != weights[0] {
		return p, false // libtorch says what is wrong
	}
	p.in, p.out = weights[1], weights[0]
	p.n = x.Len() / max(p.in, 1)
	if p.n < leastRows || p.in == 0 || p.out == 0 {
		return p, false
	}
	p.shape = append(shape[:len(shape)-1], p.out)
	p.x, p.w = unsafe.SliceData(x.Float32s()), unsafe.SliceData(w.Float32s())
	if b != nil {
		p.b = unsafe.SliceData(b.Float32s())
	}
	return p, true
}

// compute cuts the rows into equal parts, one for each thread; the bits do not depend on where.
func (p product) compute(s *Scope) *Tensor {
	t := s.blank("Linear", p.shape...)
	y := unsafe.SliceData(t.Float32s())
	parts := min(int64(Threads()), p.n/leastRows)
	var others sync.WaitGroup
	for i := range parts - 1 {
		others.Go(func() { p.rows(y, i*p.n/parts, (i+1)*p.n/parts) })
	}
	p.rows(y, (parts-1)*p.n/parts, p.n)
	others.Wait()
	return t
}

// rows computes those of y from..to-1.
func (p product) rows(y *float32, from, to int64) {
	at := func(m *float32, width int64) *C.float { return (*C.float)(unsafe.Add(unsafe.Pointer(m), 4*from*width)) }
	C.af_linear(at(y, p.out), at(p.x, p.in), (*C.float)(p.w), (*C.float)(p.b), C.int64_t(to-from), C.int64_t(p.in), C.int64_t(p.out))
}
