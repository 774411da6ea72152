package torch

/*
#cgo noescape af_gelu_tanh
#cgo nocallback af_gelu_tanh
#cgo noescape af_gelu_tanh_mul
#cgo nocallback af_gelu_tanh_mul
#cgo noescape af_silu_mul
#cgo nocallback af_silu_mul
#cgo noescape af_rms_norm
#cgo nocallback af_rms_norm
#cgo noescape af_turn
#cgo nocallback af_turn
#include "attention.h"
#include "tokenwise.h"
#include "shim/shim.h"
*/
import "C"

import (
	"unsafe"

	lib "github.com/sugarme/gotch/libtch"
)

// plain says whether x lies as kernels of our own want it: contiguous F32 on the CPU.
func (t *Tensor) plain(op string) bool {
	m := t.meta(op)
	return m.device == int64(CPU) && m.dtype == int64(F32) && m.contiguous != 0
}

// kernel says whether kernels may compute op from xs: they lie as they should, and autograd is off.
func (s *Scope) kernel(op string, xs ...*Tensor) bool {
	for _, x := range xs {
		if s.grad || !x.plain(op) {
			return false
		}
	}
	return true
}

// blank is a plain tensor with what the memory holds.
func (s *Scope) blank(op string, shape ...int64) *Tensor {
	t := new(Tensor)
	return s.made(op, t, C.af_empty(t.out(), sizes(shape), C.int(len(shape))))
}

// geluTanh is the tanh form of Gelu for a plain tensor, without autograd.
func (s *Scope) geluTanh(x *Tensor) *Tensor {
	t := new(Tensor)
	lib.AtgEmptyLike(&t.c, x.in("Gelu"))
	s.own("Gelu", t)
	C.af_gelu_tanh(t.floats(), x.floats(), C.int64_t(x.Len()))
	return t
}

// SiluMul is Silu(gate)·up, of x [.., 2W] whose rows are [gate|up]: [.., W].
func (s *Scope) SiluMul(x *Tensor) *Tensor {
	if !s.kernel("SiluMul", x) {
		gate, up := s.halves(x)
		return s.Mul(s.Silu(gate), up)
	}
	t, rows, width := s.half("SiluMul", x)
	C.af_silu_mul(t.floats(), x.floats(), rows, width)
	return t
}

// GeluMul is Gelu(gate)·up in its tanh form, of x as in [Scope.SiluMul].
func (s *Scope) GeluMul(x *Tensor) *Tensor {
	if !s.kernel("GeluMul", x) {
		gate, up := s.halves(x)
		return s.Mul(s.Gelu(gate, true), up)
	}
	t, rows, width := s.half("GeluMul", x)
	C.af_gelu_tanh_mul(t.floats(), x.floats(), rows, width)
	return t
}

// halves are the first and the second half of each row of x.
func (s *Scope) halves(x *Tensor) (first, second *Tensor) {
	shape := x.Shape()
	last := len(shape) - 1
	half := shape[last] / 2
	return s.Narrow(x, last, 0, half), s.Narrow(x, last, half, half)
}

// half is room for as many rows as x has, each half as wide.
func (s *Scope) half(op string, x *Tensor) (t *Tensor, rows, width C.int64_t) {
	shape := x.Shape()
	last := len(shape) - 1
	shape[last] /= 2
	if shape[last] > 0 {
		rows = C.int64_t(x.Len() / 2 / shape[last])
	}
	return s.blank(op, shape...), rows, C.int64_t(shape[last])
}

// RMSNorm is x/√(mean x² + eps) ⊙ w over the last dimension, of x [.., D] and w [D].
func (s *Scope) RMSNorm(x, w *Tensor, eps float64) *Tensor {
	const op = "RMSNorm"
	shape, width := x.Shape(), w.Len()
	from, byHead := x.states(op)
	if !s.kernel(op, w) || !byHead && !x.plain(op) || len(shape) == 0 || width == 0 || shape[len(shape)-1] != width {
		size := s.AddScalar(s.MeanDim(s.Square(x), -1, true), eps)
		return s.Mul(s.Mul(x, s.Rsqrt(size)), w)
	}
	t := s.blank(op, shape...)
	if !byHead {
		C.af_rms_norm(t.floats(), x.floats(), w.floats(), C.int64_t(x.Len()/width), C.int64_t(width), C.int64_t(width), C.float(eps))
		return t
	}
	t.eachHead(from, func(to, from *C.float, tokens, stride C.int64_t) {
		C.af_rms_norm(to, from, w.floats(), tokens, stride, C.int64_t(width), C.float(eps))
	})
	return t
}

// Turn rotates pairs of channels of x [1, H, N, C], F32 on the CPU with its channels in order, by angles whose cosines and
// sines [N, P] it is given: channel i with i + P or, adjacent, 2i with 2i + 1. Channels from 2P on stay. There is no gradient.
func (s *Scope) Turn(x, cos, sin *Tensor, adjacent bool) *Tensor {
	const op = "Turn"
	if !s.kernel(op, cos, sin) {
		fail(op, "wants cosines and sines in order on the CPU, and gives no gradient")
	}
	from, ok := x.states(op)
	shape, angles := x.Shape(), cos.Shape()
	if !ok || len(angles) != 2 || angles[0] != shape[2] || 2*angles[1] > shape[3] || sin.Len() != cos.Len() {
		fail(op, "the angles do not fit the states, or these do not lie as they should")
	}
	t := s.blank(op, shape...)
	t.eachHead(from, func(to, from *C.float, tokens, stride C.int64_t) {
		C.af_turn(to, from, cos.floats(), sin.floats(), tokens, stride, C.int64_t(shape[3]), C.int64_t(angles[1]), flag(adjacent))
	})
	return t
}

// eachHead calls f for each head of the plain tensor t [1, H, N, C] and of the states from.
func (t *Tensor) eachHead(from C.af_states, f func(to, from *C.float, tokens, stride C.int64_t)) {
	shape, to := t.Shape(), unsafe.Pointer(t.floats())
	for h := range shape[1] {
		f((*C.float)(unsafe.Add(to, 4*h*shape[2]*shape[3])), (*C.float)(unsafe.Add(unsafe.Pointer(from.at), 4*h*int64(from.head))), C.int64_t(shape[2]), from.token)
	}
}
