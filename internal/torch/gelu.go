package torch

/*
#cgo noescape af_gelu_tanh
#cgo nocallback af_gelu_tanh
#include "gelu.h"
*/
import "C"

import lib "github.com/sugarme/gotch/libtch"

// plain says whether x lies as kernels of our own want it: contiguous F32 on the CPU.
func (t *Tensor) plain(op string) bool {
	m := t.meta(op)
	return m.device == int64(CPU) && m.dtype == int64(F32) && m.contiguous != 0
}

// geluTanh is the tanh form of Gelu for a plain tensor, without autograd.
func (s *Scope) geluTanh(x *Tensor) *Tensor {
	t := new(Tensor)
	lib.AtgEmptyLike(&t.c, x.in("Gelu"))
	s.own("Gelu", t)
	to, n, _ := t.memory("Gelu")
	from, _, _ := x.memory("Gelu")
	C.af_gelu_tanh((*C.float)(to), (*C.float)(from), C.int64_t(n))
	return t
}
