package torch

/*
#cgo noescape af_gelu
#include "shim/shim.h"
*/
import "C"

import lib "github.com/sugarme/gotch/libtch"

// none is gotch's dtype for "as the operand".
const none int32 = -1

// Linear is x·wᵀ + b for x [..., I], w [O, I] and b [O] or nil: [..., O].
func (s *Scope) Linear(x, w, b *Tensor) *Tensor {
	if p, ok := s.product(x, w, b); ok {
		return p.compute(s)
	}
	t := new(Tensor)
	lib.AtgLinear(&t.c, x.in("Linear"), w.in("Linear"), b.optional("Linear"))
	return s.own("Linear", t)
}

// LinearTo writes what Linear gives to dst, of its shape.
func (s *Scope) LinearTo(dst, x, w, b *Tensor) {
	s.to("LinearTo", func(out *lib.Ctensor) {
		lib.AtgLinearOut(out, dst.in("LinearTo"), x.in("LinearTo"), w.in("LinearTo"), b.optional("LinearTo"))
	})
}

// MatMul is the matrix product over the last two dimensions, leading ones broadcast.
func (s *Scope) MatMul(a, b *Tensor) *Tensor { return s.binary("MatMul", lib.AtgMatmul, a, b) }

// Bmm is the matrix product of [B, N, K] and [B, K, M]: [B, N, M].
func (s *Scope) Bmm(a, b *Tensor) *Tensor { return s.binary("Bmm", lib.AtgBmm, a, b) }

// Addmm is c + a·b for c [N, M] or [M], a [N, K], b [K, M].
func (s *Scope) Addmm(c, a, b *Tensor) *Tensor {
	t := new(Tensor)
	lib.AtgAddmm(&t.c, c.in("Addmm"), a.in("Addmm"), b.in("Addmm"))
	return s.own("Addmm", t)
}

// Embedding is the rows of w [V, D] at the I64 or I32 ids [...]: [..., D].
func (s *Scope) Embedding(w, ids *Tensor) *Tensor {
	t := new(Tensor)
	lib.AtgEmbedding(&t.c, w.in("Embedding"), ids.in("Embedding"), -1, 0, 0)
	return s.own("Embedding", t)
}

// LayerNorm normalises x [..., D] over its last dimension, then scales by w [D] and shifts by b [D]; each of
// the two may be nil.
func (s *Scope) LayerNorm(x, w, b *Tensor, eps float64) *Tensor {
	shape := x.Shape()
	if len(shape) == 0 {
		fail("LayerNorm", "a tensor without dimensions")
	}
	t := new(Tensor)
	lib.AtgLayerNorm(&t.c, x.in("LayerNorm"), shape[len(shape)-1:], 1, w.optional("LayerNorm"), b.optional("LayerNorm"), eps, 0)
	return s.own("LayerNorm", t)
}

// Gelu is x·Φ(x); with tanh the approximation of Hendrycks and Gimpel (2016), 0.5x(1 + tanh(√(2/π)(x + 0.044715x³))).
func (s *Scope) Gelu(x *Tensor, tanh bool) *Tensor {
	if tanh && s.kernel("Gelu", x) {
		return s.geluTanh(x)
	}
	t := new(Tensor)
	return s.made("Gelu", t, C.af_gelu(t.out(), x.raw("Gelu"), flag(tanh)))
}

// Silu is x·σ(x).
func (s *Scope) Silu(x *Tensor) *Tensor { return s.unary("Silu", lib.AtgSilu, x) }

// Relu is max(x, 0).
func (s *Scope) Relu(x *Tensor) *Tensor { return s.unary("Relu", lib.AtgRelu, x) }

// Sigmoid is 1/(1 + e⁻ˣ).
func (s *Scope) Sigmoid(x *Tensor) *Tensor { return s.unary("Sigmoid", lib.AtgSigmoid, x) }

// Tanh is the hyperbolic tangent.
func (s *Scope) Tanh(x *Tensor) *Tensor { return s.unary("Tanh", lib.AtgTanh, x) }

// Softplus is ln(1 + eˣ), without overflow.
func (s *Scope) Softplus(x *Tensor) *Tensor { return s.unary("Softplus", lib.AtgSoftplus, x) }

// Softmax is eˣ over its sum along dim.
func (s *Scope) Softmax(x *Tensor, dim int) *Tensor {
	t := new(Tensor)
	lib.AtgSoftmax(&t.c, x.in("Softmax"), int64(dim), none)
	return s.own("Softmax", t)
}

// LogSoftmax is the logarithm of [Scope.Softmax], without its rounding.
func (s *Scope) LogSoftmax(x *Tensor, dim int) *Tensor {
	t := new(Tensor)
	lib.AtgLogSoftmax(&t.c, x.in("LogSoftmax"), int64(dim), none)
	return s.own("LogSoftmax", t)
}
