package torch

/*
#cgo noescape af_compare
#include "shim/shim.h"
*/
import "C"

import lib "github.com/sugarme/gotch/libtch"

// Comparisons give Bool tensors.

// Gt is a > b.
func (s *Scope) Gt(a, b *Tensor) *Tensor { return s.binary("Gt", lib.AtgGtTensor, a, b) }

// Ge is a ≥ b.
func (s *Scope) Ge(a, b *Tensor) *Tensor { return s.binary("Ge", lib.AtgGeTensor, a, b) }

// Lt is a < b.
func (s *Scope) Lt(a, b *Tensor) *Tensor { return s.binary("Lt", lib.AtgLtTensor, a, b) }

// Le is a ≤ b.
func (s *Scope) Le(a, b *Tensor) *Tensor { return s.binary("Le", lib.AtgLeTensor, a, b) }

// Eq is a = b.
func (s *Scope) Eq(a, b *Tensor) *Tensor { return s.binary("Eq", lib.AtgEqTensor, a, b) }

// Ne is a ≠ b.
func (s *Scope) Ne(a, b *Tensor) *Tensor { return s.binary("Ne", lib.AtgNeTensor, a, b) }

// LtScalar is x < v.
func (s *Scope) LtScalar(x *Tensor, v float64) *Tensor { return s.compare("LtScalar", x, v, 0) }

// LeScalar is x ≤ v.
func (s *Scope) LeScalar(x *Tensor, v float64) *Tensor { return s.compare("LeScalar", x, v, 1) }

// GtScalar is x > v.
func (s *Scope) GtScalar(x *Tensor, v float64) *Tensor { return s.compare("GtScalar", x, v, 2) }

// GeScalar is x ≥ v.
func (s *Scope) GeScalar(x *Tensor, v float64) *Tensor { return s.compare("GeScalar", x, v, 3) }

// EqScalar is x = v.
func (s *Scope) EqScalar(x *Tensor, v float64) *Tensor { return s.compare("EqScalar", x, v, 4) }

// NeScalar is x ≠ v.
func (s *Scope) NeScalar(x *Tensor, v float64) *Tensor { return s.compare("NeScalar", x, v, 5) }

func (s *Scope) compare(op string, x *Tensor, v float64, code C.int) *Tensor {
	t := new(Tensor)
	return s.made(op, t, C.af_compare(t.out(), x.raw(op), C.double(v), code))
}

// Isfinite is true where x is neither NaN nor infinite.
func (s *Scope) Isfinite(x *Tensor) *Tensor { return s.unary("Isfinite", lib.AtgIsfinite, x) }

// And is true where a and b are.
func (s *Scope) And(a, b *Tensor) *Tensor { return s.binary("And", lib.AtgLogicalAnd, a, b) }

// Or is true where a or b is.
func (s *Scope) Or(a, b *Tensor) *Tensor { return s.binary("Or", lib.AtgLogicalOr, a, b) }

// Not is true where x is not.
func (s *Scope) Not(x *Tensor) *Tensor { return s.unary("Not", lib.AtgLogicalNot, x) }
