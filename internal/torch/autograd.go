package torch

/*
#cgo noescape af_grad_of
#include "shim/shim.h"
*/
import "C"

import (
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// Param keeps t as a parameter: [Scope.Backward] computes its gradient. t must be a leaf, made outside of
// recorded operators, and F32, F64, F16 or BF16. It returns t.
func (s *Scope) Param(t *Tensor) *Tensor {
	check("Param", C.af_param(t.raw("Param")))
	return s.Keep(t)
}

// Backward adds the gradient of loss (one element) to every parameter it depends on. Only in [DoGrad].
func (s *Scope) Backward(loss *Tensor) {
	lib.AtBackward(loss.in("Backward"), 0, 0)
	checkLast("Backward")
}

// Grad is the gradient gathered in t since the last [ZeroGrad], sharing its memory; nil where there is none.
func (s *Scope) Grad(t *Tensor) *Tensor {
	g := new(Tensor)
	check("Grad", C.af_grad_of(g.out(), t.raw("Grad")))
	if g.c == nil {
		return nil
	}
	return s.own("Grad", g)
}

// ZeroGrad drops the gradients of ts.
func ZeroGrad(ts ...*Tensor) {
	if len(ts) == 0 {
		return
	}
	cs := make([]unsafe.Pointer, len(ts))
	for i, t := range ts {
		cs[i] = t.raw("ZeroGrad")
	}
	check("ZeroGrad", C.af_zero_grad(&cs[0], C.int(len(cs))))
}
