package torch

/*
#cgo noescape af_masked_fill
#include "shim/shim.h"
*/
import "C"

import lib "github.com/sugarme/gotch/libtch"

// Indices are I64 tensors. One out of range is an error on the CPU; on CUDA it ends the process's use of the GPU.

// IndexSelect is the slices of x along dim at index [N].
func (s *Scope) IndexSelect(x *Tensor, dim int, index *Tensor) *Tensor {
	t := new(Tensor)
	lib.AtgIndexSelect(&t.c, x.in("IndexSelect"), int64(dim), index.in("IndexSelect"))
	return s.own("IndexSelect", t)
}

// Gather is out[i][j] = x[i][index[i][j]] for dim 1, and alike for others; it has index's shape.
func (s *Scope) Gather(x *Tensor, dim int, index *Tensor) *Tensor {
	t := new(Tensor)
	lib.AtgGather(&t.c, x.in("Gather"), int64(dim), index.in("Gather"), 0)
	return s.own("Gather", t)
}

// Scatter is x with out[i][index[i][j]] = src[i][j] for dim 1, and alike for others.
func (s *Scope) Scatter(x *Tensor, dim int, index, src *Tensor) *Tensor {
	t := new(Tensor)
	lib.AtgScatter(&t.c, x.in("Scatter"), int64(dim), index.in("Scatter"), src.in("Scatter"))
	return s.own("Scatter", t)
}

// ScatterAdd is x with src[i][j] added at [i][index[i][j]] for dim 1, and alike for others.
func (s *Scope) ScatterAdd(x *Tensor, dim int, index, src *Tensor) *Tensor {
	t := new(Tensor)
	lib.AtgScatterAdd(&t.c, x.in("ScatterAdd"), int64(dim), index.in("ScatterAdd"), src.in("ScatterAdd"))
	return s.own("ScatterAdd", t)
}

// IndexAdd is x with the slices of src added along dim at index [N].
func (s *Scope) IndexAdd(x *Tensor, dim int, index, src *Tensor) *Tensor {
	t := new(Tensor)
	lib.AtgIndexAdd(&t.c, x.in("IndexAdd"), int64(dim), index.in("IndexAdd"), src.in("IndexAdd"))
	return s.own("IndexAdd", t)
}

// OneHot is the I64 tensor x [...] as [..., classes], 1 at the class and 0 elsewhere (I64).
func (s *Scope) OneHot(x *Tensor, classes int64) *Tensor {
	t := new(Tensor)
	lib.AtgOneHot(&t.c, x.in("OneHot"), classes)
	return s.own("OneHot", t)
}

// Nonzero is the places of the elements that are not zero, [N, dims] (I64).
func (s *Scope) Nonzero(x *Tensor) *Tensor { return s.unary("Nonzero", lib.AtgNonzero, x) }

// MaskedSelect is the elements of x where mask is true, [N].
func (s *Scope) MaskedSelect(x, mask *Tensor) *Tensor {
	return s.binary("MaskedSelect", lib.AtgMaskedSelect, x, mask)
}

// MaskedFill is x with v where mask is true.
func (s *Scope) MaskedFill(x, mask *Tensor, v float64) *Tensor {
	t := new(Tensor)
	return s.made("MaskedFill", t, C.af_masked_fill(t.out(), x.raw("MaskedFill"), mask.raw("MaskedFill"), C.double(v)))
}

// Where is a where cond is true, else b.
func (s *Scope) Where(cond, a, b *Tensor) *Tensor {
	t := new(Tensor)
	lib.AtgWhereSelf(&t.c, cond.in("Where"), a.in("Where"), b.in("Where"))
	return s.own("Where", t)
}
