package torch

/*
#cgo noescape af_clone
#include "shim/shim.h"
*/
import "C"

import lib "github.com/sugarme/gotch/libtch"

// Sizes are counted in elements; a View shares memory with what it was made from.

// ints is dims for gotch, which takes the address of a first element even where there is none.
func ints(dims []int64) []int64 {
	if len(dims) == 0 {
		return []int64{0}
	}
	return dims
}

// View is x with other dimensions over the same memory, where strides allow it; one of them may be -1.
func (s *Scope) View(x *Tensor, dims ...int64) *Tensor {
	t := new(Tensor)
	lib.AtgView(&t.c, x.in("View"), ints(dims), len(dims))
	return s.own("View", t)
}

// Reshape is [Scope.View], with a copy where strides do not allow a view.
func (s *Scope) Reshape(x *Tensor, dims ...int64) *Tensor {
	t := new(Tensor)
	lib.AtgReshape(&t.c, x.in("Reshape"), ints(dims), len(dims))
	return s.own("Reshape", t)
}

// Expand repeats dimensions of size 1 without a copy; -1 leaves a dimension as it is.
func (s *Scope) Expand(x *Tensor, dims ...int64) *Tensor {
	t := new(Tensor)
	lib.AtgExpand(&t.c, x.in("Expand"), ints(dims), len(dims), 0)
	return s.own("Expand", t)
}

// Transpose exchanges dimensions a and b, without a copy.
func (s *Scope) Transpose(x *Tensor, a, b int) *Tensor {
	t := new(Tensor)
	lib.AtgTranspose(&t.c, x.in("Transpose"), int64(a), int64(b))
	return s.own("Transpose", t)
}

// Permute puts dimension order[i] at place i, without a copy.
func (s *Scope) Permute(x *Tensor, order ...int64) *Tensor {
	t := new(Tensor)
	lib.AtgPermute(&t.c, x.in("Permute"), ints(order), len(order))
	return s.own("Permute", t)
}

// Unsqueeze adds a dimension of size 1 before dim.
func (s *Scope) Unsqueeze(x *Tensor, dim int) *Tensor {
	t := new(Tensor)
	lib.AtgUnsqueeze(&t.c, x.in("Unsqueeze"), int64(dim))
	return s.own("Unsqueeze", t)
}

// Squeeze drops dimension dim when its size is 1.
func (s *Scope) Squeeze(x *Tensor, dim int) *Tensor {
	t := new(Tensor)
	lib.AtgSqueezeDim(&t.c, x.in("Squeeze"), int64(dim))
	return s.own("Squeeze", t)
}

// Narrow is the length elements of dim from start on, without a copy.
func (s *Scope) Narrow(x *Tensor, dim int, start, length int64) *Tensor {
	t := new(Tensor)
	lib.AtgNarrow(&t.c, x.in("Narrow"), int64(dim), start, length)
	return s.own("Narrow", t)
}

// Cat joins tensors along the existing dimension dim.
func (s *Scope) Cat(ts []*Tensor, dim int) *Tensor {
	t := new(Tensor)
	lib.AtgCat(&t.c, all("Cat", ts), len(ts), int64(dim))
	return s.own("Cat", t)
}

// Stack joins tensors of one shape along a new dimension dim.
func (s *Scope) Stack(ts []*Tensor, dim int) *Tensor {
	t := new(Tensor)
	lib.AtgStack(&t.c, all("Stack", ts), len(ts), int64(dim))
	return s.own("Stack", t)
}

func all(op string, ts []*Tensor) []lib.Ctensor {
	if len(ts) == 0 {
		fail(op, "no tensors")
	}
	cs := make([]lib.Ctensor, len(ts))
	for i, t := range ts {
		cs[i] = t.in(op)
	}
	return cs
}

// Contiguous is x with its elements in order in memory: x's own memory where they are, else a copy.
func (s *Scope) Contiguous(x *Tensor) *Tensor { return s.unary("Contiguous", lib.AtgContiguous, x) }

// Clone is a contiguous copy.
func (s *Scope) Clone(x *Tensor) *Tensor {
	t := new(Tensor)
	return s.made("Clone", t, C.af_clone(t.out(), x.raw("Clone")))
}

// Detach is x without its history: gradients stop here. It shares x's memory.
func (s *Scope) Detach(x *Tensor) *Tensor { return s.unary("Detach", lib.AtgDetach, x) }

// To is x as dtype: x's own memory where it has that type, else a copy.
func (s *Scope) To(x *Tensor, dtype Dtype) *Tensor {
	t := new(Tensor)
	lib.AtgToDtype(&t.c, x.in("To"), int32(dtype), 0, 0)
	return s.own("To", t)
}

// ToDevice is x on device d: x's own memory where it lies there, else a copy.
func (s *Scope) ToDevice(x *Tensor, d Device) *Tensor {
	t := new(Tensor)
	lib.AtgTo(&t.c, x.in("ToDevice"), int32(d))
	return s.own("ToDevice", t)
}

// Tril keeps the lower triangle of the last two dimensions, up to the diagonal-th diagonal, and zeroes the rest.
func (s *Scope) Tril(x *Tensor, diagonal int64) *Tensor {
	t := new(Tensor)
	lib.AtgTril(&t.c, x.in("Tril"), diagonal)
	return s.own("Tril", t)
}

// Triu keeps the upper triangle of the last two dimensions, from the diagonal-th diagonal on, and zeroes the rest.
func (s *Scope) Triu(x *Tensor, diagonal int64) *Tensor {
	t := new(Tensor)
	lib.AtgTriu(&t.c, x.in("Triu"), diagonal)
	return s.own("Triu", t)
}
