package torch

/*
#cgo noescape af_add_scalar
#cgo noescape af_mul_scalar
#cgo noescape af_clamp
#include "shim/shim.h"
*/
import "C"

import (
	"math"
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// Operands of different shapes are broadcast as PyTorch does.

// Add is a + b.
func (s *Scope) Add(a, b *Tensor) *Tensor { return s.binary("Add", lib.AtgAdd, a, b) }

// Minus is a - b.
func (s *Scope) Minus(a, b *Tensor) *Tensor { return s.binary("Minus", lib.AtgSub, a, b) }

// Mul is a · b, element by element.
func (s *Scope) Mul(a, b *Tensor) *Tensor { return s.binary("Mul", lib.AtgMul, a, b) }

// Div is a / b, element by element.
func (s *Scope) Div(a, b *Tensor) *Tensor { return s.binary("Div", lib.AtgDiv, a, b) }

// Maximum is the larger of a and b, element by element; NaN wins.
func (s *Scope) Maximum(a, b *Tensor) *Tensor { return s.binary("Maximum", lib.AtgMaximum, a, b) }

// Minimum is the smaller of a and b, element by element; NaN wins.
func (s *Scope) Minimum(a, b *Tensor) *Tensor { return s.binary("Minimum", lib.AtgMinimum, a, b) }

// Pow is a to the power b, element by element.
func (s *Scope) Pow(a, b *Tensor) *Tensor { return s.binary("Pow", lib.AtgPow, a, b) }

// AddScalar is x + v.
func (s *Scope) AddScalar(x *Tensor, v float64) *Tensor {
	t := new(Tensor)
	return s.made("AddScalar", t, C.af_add_scalar(t.out(), x.raw("AddScalar"), C.double(v)))
}

// MulScalar is x · v.
func (s *Scope) MulScalar(x *Tensor, v float64) *Tensor {
	t := new(Tensor)
	return s.made("MulScalar", t, C.af_mul_scalar(t.out(), x.raw("MulScalar"), C.double(v)))
}

// Clamp limits x to lo..hi.
func (s *Scope) Clamp(x *Tensor, lo, hi float64) *Tensor {
	t := new(Tensor)
	return s.made("Clamp", t, C.af_clamp(t.out(), x.raw("Clamp"), C.double(lo), C.double(hi)))
}

// ClampMin is the larger of x and lo.
func (s *Scope) ClampMin(x *Tensor, lo float64) *Tensor { return s.Clamp(x, lo, math.NaN()) }

// ClampMax is the smaller of x and hi.
func (s *Scope) ClampMax(x *Tensor, hi float64) *Tensor { return s.Clamp(x, math.NaN(), hi) }

// Neg is -x.
func (s *Scope) Neg(x *Tensor) *Tensor { return s.unary("Neg", lib.AtgNeg, x) }

// Abs is |x|.
func (s *Scope) Abs(x *Tensor) *Tensor { return s.unary("Abs", lib.AtgAbs, x) }

// Sign is -1, 0 or 1.
func (s *Scope) Sign(x *Tensor) *Tensor { return s.unary("Sign", lib.AtgSign, x) }

// Square is x².
func (s *Scope) Square(x *Tensor) *Tensor { return s.unary("Square", lib.AtgSquare, x) }

// Sqrt is the square root.
func (s *Scope) Sqrt(x *Tensor) *Tensor { return s.unary("Sqrt", lib.AtgSqrt, x) }

// Rsqrt is 1/√x.
func (s *Scope) Rsqrt(x *Tensor) *Tensor { return s.unary("Rsqrt", lib.AtgRsqrt, x) }

// Reciprocal is 1/x.
func (s *Scope) Reciprocal(x *Tensor) *Tensor { return s.unary("Reciprocal", lib.AtgReciprocal, x) }

// Exp is eˣ.
func (s *Scope) Exp(x *Tensor) *Tensor { return s.unary("Exp", lib.AtgExp, x) }

// Log is the natural logarithm.
func (s *Scope) Log(x *Tensor) *Tensor { return s.unary("Log", lib.AtgLog, x) }

// Log1p is ln(1+x), exact for small x.
func (s *Scope) Log1p(x *Tensor) *Tensor { return s.unary("Log1p", lib.AtgLog1p, x) }

// Cos is the cosine of radians.
func (s *Scope) Cos(x *Tensor) *Tensor { return s.unary("Cos", lib.AtgCos, x) }

// Sin is the sine of radians.
func (s *Scope) Sin(x *Tensor) *Tensor { return s.unary("Sin", lib.AtgSin, x) }

// Floor rounds down.
func (s *Scope) Floor(x *Tensor) *Tensor { return s.unary("Floor", lib.AtgFloor, x) }

// Round rounds to the nearest integer, halves to even.
func (s *Scope) Round(x *Tensor) *Tensor { return s.unary("Round", lib.AtgRound, x) }

// out is where the shim puts a new tensor.
func (t *Tensor) out() *unsafe.Pointer { return (*unsafe.Pointer)(unsafe.Pointer(&t.c)) }

// raw is t as an operand for the shim.
func (t *Tensor) raw(op string) unsafe.Pointer { return unsafe.Pointer(t.in(op)) }
