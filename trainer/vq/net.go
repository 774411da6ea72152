package vq

import (
	"math"
	"math/rand/v2"
	"strconv"

	"actfleet/internal/torch"
	"actfleet/trainer/optim"
)

// net is one linear layer, or two with GELU between them.
type net []layer

// layer is w·x + b.
type layer struct {
	in, out int
	w, b    []float32 // [out, in], [out]
}

func newLayer(in, out int) layer {
	return layer{in: in, out: out, w: make([]float32, in*out), b: make([]float32, out)}
}

func newNet(in, hidden, out int) net {
	if hidden == 0 {
		return net{newLayer(in, out)}
	}
	return net{newLayer(in, hidden), newLayer(hidden, out)}
}

// wrapper makes tensors of parameters.
type wrapper func(v []float32, dims ...int64) *torch.Tensor

// plain wraps parameters that are not trained.
func plain(s *torch.Scope) wrapper {
	return func(v []float32, dims ...int64) *torch.Tensor { return torch.WrapFloat32(s, v, dims...) }
}

// apply is the output [n, out] for x [n, in].
func (n net) apply(s *torch.Scope, x *torch.Tensor, wrap wrapper) *torch.Tensor {
	for i, l := range n {
		if i > 0 {
			x = s.Gelu(x, true)
		}
		x = s.Linear(x, wrap(l.w, int64(l.out), int64(l.in)), wrap(l.b, int64(l.out)))
	}
	return x
}

// randomise draws the weights with a mean square of 1/in and clears the biases, so
// that inputs of mean square 1 give outputs of about that.
func (n net) randomise(r *rand.Rand) {
	for _, l := range n {
		std := 1 / math.Sqrt(float64(l.in))
		for i := range l.w {
			l.w[i] = float32(std * normal(r))
		}
		clear(l.b)
	}
}

// normal is one normal number by Box and Muller, spelled out because the standard
// library may change the numbers its NormFloat64 gives.
func normal(r *rand.Rand) float64 {
	u := 1 - float64(r.Uint64()>>11)/(1<<53) // (0, 1]
	v := float64(r.Uint64()>>11) / (1 << 53)
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}

// params lists the parameters with gradients of their own, under names.
func (n net) params(name string) (out []optim.Param) {
	for i, l := range n {
		at := name + "." + strconv.Itoa(i) + "."
		out = append(out,
			optim.Param{Name: at + "weight", Shape: []int{l.out, l.in}, Value: l.w, Grad: make([]float32, len(l.w))},
			optim.Param{Name: at + "bias", Shape: []int{l.out}, Value: l.b, Grad: make([]float32, len(l.b))})
	}
	return out
}

// tape makes tensors whose gradients go to the parameters they were made of.
type tape struct {
	s      *torch.Scope
	params []optim.Param
	made   []*torch.Tensor // by parameter; nil where it was not used
}

func newTape(s *torch.Scope, params []optim.Param) *tape {
	return &tape{s: s, params: params, made: make([]*torch.Tensor, len(params))}
}

// wrap is a wrapper.
func (t *tape) wrap(v []float32, dims ...int64) *torch.Tensor {
	x := torch.WrapFloat32(t.s, v, dims...)
	for i, p := range t.params {
		if &p.Value[0] == &v[0] {
			t.made[i] = t.s.Param(x)
		}
	}
	return x
}

// backward adds the gradients of loss to those of the parameters.
func (t *tape) backward(loss *torch.Tensor) {
	t.s.Backward(loss)
	for i, x := range t.made {
		if x == nil {
			continue
		}
		if g := t.s.Grad(x); g != nil {
			for j, v := range g.Float32s() {
				t.params[i].Grad[j] += v
			}
		}
	}
}

// free ends the tensors.
func (t *tape) free() {
	for _, x := range t.made {
		if x != nil {
			x.Free()
		}
	}
}
