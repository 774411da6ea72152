package adapter

import (
	"actfleet/internal/torch"
)

// effect is what a module's arrays do to y = W x + b, all kinds alike: x becomes x ⊙ in, or is turned block by block; y
// gets up(down x) + delta x; then y is scaled and shifted. What is nil is left out.
type effect struct {
	in, rotate      *torch.Tensor // [in]; [blocks, k, k], or one block for all
	down, up, delta *torch.Tensor // [r, in], [out, r]; [out, in]
	scale, shift    *torch.Tensor // [out]
	magnitude       *torch.Tensor // [out]: of DoRA's rows; once normed, over the length they have
}

// permuted is the effect with its outputs in another order; nil is the same.
func (e effect) permuted(s *torch.Scope, order []int64) effect {
	if order == nil {
		return e
	}
	for _, t := range []**torch.Tensor{&e.up, &e.delta, &e.scale, &e.shift, &e.magnitude} {
		if *t != nil {
			at := s.ToDevice(torch.FromInt64(s, order, int64(len(order))), (*t).Device())
			*t = s.IndexSelect(*t, 0, at)
		}
	}
	return e
}

// normed divides a magnitude by the length of the rows of w + up·down, w [out, in]. The length is a number to the
// gradient (Liu et al. 2024, section 4.3).
func (e effect) normed(s *torch.Scope, w *torch.Tensor) effect {
	if e.magnitude != nil {
		length := s.Detach(s.NormDim(s.Add(s.To(w, torch.F32), s.MatMul(e.up, e.down)), 1, false))
		e.magnitude = s.Div(e.magnitude, length)
	}
	return e
}

// kept takes the tensors out of their scope.
func (e effect) kept(s *torch.Scope) effect {
	for _, t := range e.tensors() {
		if *t != nil {
			*t = s.Keep(s.Clone(s.Contiguous(*t)))
		}
	}
	return e
}

func (e *effect) tensors() []**torch.Tensor {
	return []**torch.Tensor{&e.in, &e.rotate, &e.down, &e.up, &e.delta, &e.scale, &e.shift, &e.magnitude}
}

func (e effect) free() {
	for _, t := range e.tensors() {
		(*t).Free()
	}
}

// reads says whether the map reads something else than x.
func (e effect) reads() bool { return e.in != nil || e.rotate != nil }

// before is what the map reads in the place of x [.., in].
func (e effect) before(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	if e.in != nil {
		return s.Mul(x, e.in)
	}
	return turn(s, x, e.rotate)
}

// turn is x [.., in] times r block by block.
func turn(s *torch.Scope, x, r *torch.Tensor) *torch.Tensor {
	shape, k := x.Shape(), r.Shape()[1]
	blocks := shape[len(shape)-1] / k
	if r.Shape()[0] == 1 {
		return s.Reshape(s.MatMul(s.Reshape(x, -1, k), s.Squeeze(r, 0)), shape...)
	}
	rows := s.Transpose(s.Reshape(x, -1, blocks, k), 0, 1) // [blocks, N, k]
	return s.Reshape(s.Contiguous(s.Transpose(s.Bmm(rows, r), 0, 1)), shape...)
}

// after is what becomes of y [.., out], which the map has given, bias b and all; x is what it was given first.
func (e effect) after(s *torch.Scope, x, y, b *torch.Tensor) *torch.Tensor {
	var add *torch.Tensor
	if e.down != nil {
		add = s.Linear(s.Linear(x, e.down, nil), e.up, nil)
	}
	if e.delta != nil {
		add = s.Linear(x, e.delta, nil)
	}
	if e.magnitude != nil {
		bare := y
		if b != nil {
			bare = s.Minus(y, s.To(b, torch.F32))
		}
		add = s.Add(s.Mul(bare, s.AddScalar(e.magnitude, -1)), s.Mul(add, e.magnitude))
	}
	if add != nil {
		y = s.Add(y, add)
	}
	if e.scale != nil {
		y = s.Mul(y, e.scale)
	}
	if e.shift != nil {
		y = s.Add(y, e.shift)
	}
	return y
}

// nearOne is how far a DoRA's magnitude over the length of its row may be from 1 by rounding alone.
const nearOne = 1e-6

// essential leaves out what changes nothing: products with zero, factors of one, the identity.
func (e effect) essential(s *torch.Scope) effect {
	drop := func(t **torch.Tensor, nothing bool) {
		if nothing {
			*t = nil
		}
	}
	zero := func(t *torch.Tensor) bool { return t == nil || within(s, t, 0) }
	idle := zero(e.up) || zero(e.down)
	if e.magnitude != nil {
		idle = idle && within(s, s.AddScalar(e.magnitude, -1), nearOne)
		drop(&e.magnitude, idle)
	}
	drop(&e.up, idle)
	drop(&e.down, idle)
	drop(&e.delta, zero(e.delta))
	drop(&e.shift, zero(e.shift))
	if e.scale != nil {
		drop(&e.scale, within(s, s.AddScalar(e.scale, -1), 0))
	}
	if e.in != nil {
		drop(&e.in, within(s, s.AddScalar(e.in, -1), 0))
	}
	if e.rotate != nil {
		drop(&e.rotate, within(s, s.Minus(e.rotate, s.Eye(e.rotate.Shape()[1], torch.F32, e.rotate.Device())), 0))
	}
	return e
}

// within says whether no element of x is farther from 0 than limit.
func within(s *torch.Scope, x *torch.Tensor, limit float64) bool {
	return float64(s.ToDevice(s.Max(s.Abs(x)), torch.CPU).Float32s()[0]) <= limit
}
