package torch

/*
#cgo noescape af_add_to
#cgo noescape af_mul_scalar_to
#cgo noescape af_fill_to
#cgo noescape af_lerp_to
#cgo noescape af_addcmul_to
#cgo noescape af_addcdiv_to
#include "shim/shim.h"
*/
import "C"

import lib "github.com/sugarme/gotch/libtch"

// The operators ending in To change their first operand and return nothing. On a parameter they are allowed only
// with autograd off ([Scope.NoGrad], or inside [Do]).

// CopyTo sets dst to src, converting dtype and device, broadcasting shape.
func (s *Scope) CopyTo(dst, src *Tensor) {
	lib.AtCopy_(dst.in("CopyTo"), src.in("CopyTo"))
	checkLast("CopyTo")
}

// AddTo is dst += alpha·src.
func (s *Scope) AddTo(dst, src *Tensor, alpha float64) {
	check("AddTo", C.af_add_to(dst.raw("AddTo"), src.raw("AddTo"), C.double(alpha)))
}

// MulTo is dst *= x, element by element.
func (s *Scope) MulTo(dst, x *Tensor) {
	s.to("MulTo", func(out *lib.Ctensor) { lib.AtgMul_(out, dst.in("MulTo"), x.in("MulTo")) })
}

// MulScalarTo is dst *= v.
func (s *Scope) MulScalarTo(dst *Tensor, v float64) {
	check("MulScalarTo", C.af_mul_scalar_to(dst.raw("MulScalarTo"), C.double(v)))
}

// ZeroTo is dst = 0.
func (s *Scope) ZeroTo(dst *Tensor) { s.FillTo(dst, 0) }

// FillTo is dst = v.
func (s *Scope) FillTo(dst *Tensor, v float64) {
	check("FillTo", C.af_fill_to(dst.raw("FillTo"), C.double(v)))
}

// LerpTo is dst += weight·(end - dst).
func (s *Scope) LerpTo(dst, end *Tensor, weight float64) {
	check("LerpTo", C.af_lerp_to(dst.raw("LerpTo"), end.raw("LerpTo"), C.double(weight)))
}

// AddcmulTo is dst += v·a·b.
func (s *Scope) AddcmulTo(dst, a, b *Tensor, v float64) {
	check("AddcmulTo", C.af_addcmul_to(dst.raw("AddcmulTo"), a.raw("AddcmulTo"), b.raw("AddcmulTo"), C.double(v)))
}

// AddcdivTo is dst += v·a/b.
func (s *Scope) AddcdivTo(dst, a, b *Tensor, v float64) {
	check("AddcdivTo", C.af_addcdiv_to(dst.raw("AddcdivTo"), a.raw("AddcdivTo"), b.raw("AddcdivTo"), C.double(v)))
}

// IndexCopyTo sets the slices of dst along dim at index [N] to those of src.
func (s *Scope) IndexCopyTo(dst *Tensor, dim int, index, src *Tensor) {
	s.to("IndexCopyTo", func(out *lib.Ctensor) {
		lib.AtgIndexCopy_(out, dst.in("IndexCopyTo"), int64(dim), index.in("IndexCopyTo"), src.in("IndexCopyTo"))
	})
}

// IndexAddTo adds the slices of src to those of dst along dim at index [N]; a place may stand in index twice.
func (s *Scope) IndexAddTo(dst *Tensor, dim int, index, src *Tensor) {
	s.to("IndexAddTo", func(out *lib.Ctensor) {
		lib.AtgIndexAdd_(out, dst.in("IndexAddTo"), int64(dim), index.in("IndexAddTo"), src.in("IndexAddTo"))
	})
}

// to runs an in-place operator of gotch, which hands out its first operand once more.
func (s *Scope) to(op string, f func(out *lib.Ctensor)) {
	t := new(Tensor)
	f(&t.c)
	s.own(op, t)
}
