package vq

import (
	"fmt"
	"math"

	"actfleet/internal/torch"
)

// Loss is what a decoder is asked for, and how what it gives instead is counted.
type Loss string

// The losses there are.
const (
	MSE    Loss = "mse"     // the row itself, by squares
	Symlog Loss = "symlog"  // the symlog of the row, by squares
	TwoHot Loss = "two_hot" // for every value weights of bins of its symlog, by cross entropy
)

// Losses are all of them.
var Losses = []string{string(MSE), string(Symlog), string(TwoHot)}

// outputs is how many numbers a decoder gives for one value.
func (l Loss) outputs() int {
	if t, ok := targets[l]; ok {
		return t.outputs()
	}
	return 1
}

// target is a Loss at work.
type target interface {
	// outputs is how many numbers the decoder gives for one value.
	outputs() int
	// loss is what separates out [n, D·outputs] from rows z [n, D], summed.
	loss(s *torch.Scope, out *torch.Tensor, z []float32) *torch.Tensor
	// value is the rows [n, D] that out [n, D·outputs] stands for.
	value(s *torch.Scope, out *torch.Tensor) *torch.Tensor
}

var targets = map[Loss]target{MSE: squares{}, Symlog: symlogSquares{}, TwoHot: twoHotBins{}}

type squares struct{}

func (squares) outputs() int { return 1 }

func (squares) loss(s *torch.Scope, out *torch.Tensor, z []float32) *torch.Tensor {
	return s.Sum(s.Square(s.Minus(out, torch.WrapFloat32(s, z, out.Shape()...))))
}

func (squares) value(_ *torch.Scope, out *torch.Tensor) *torch.Tensor { return out }

// symlog is sgn(x)·ln(1+|x|), symexp its inverse (Hafner et al. 2023, arXiv:2301.04104).
func symlog(x float64) float64 { return math.Copysign(math.Log1p(math.Abs(x)), x) }

// symexp gives a tensor of the same shape; what is beyond the bins counts as their end.
func symexp(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	x = s.Clamp(x, -binLimit, binLimit)
	return s.Mul(s.Sign(x), s.AddScalar(s.Exp(s.Abs(x)), -1))
}

type symlogSquares struct{}

func (symlogSquares) outputs() int { return 1 }

func (symlogSquares) loss(s *torch.Scope, out *torch.Tensor, z []float32) *torch.Tensor {
	y := make([]float32, len(z))
	for i, v := range z {
		y[i] = float32(symlog(float64(v)))
	}
	return s.Sum(s.Square(s.Minus(out, torch.FromFloat32(s, y, out.Shape()...))))
}

func (symlogSquares) value(s *torch.Scope, out *torch.Tensor) *torch.Tensor { return symexp(s, out) }

// The bins of two-hot targets: evenly from −binLimit to binLimit, as Micheli et al.
// 2024, arXiv:2406.19320, have them.
const (
	binCount = 255
	binLimit = 20.0
)

// bin is the place of a bin.
func bin(i int) float64 { return binLimit * (2*float64(i)/(binCount-1) - 1) }

// twoHot spreads y, clamped to the bins, over bin lo and the next so that the weights,
// of which it returns the lower one's, sum to 1 and the bins so weighted to y.
func twoHot(y float64) (lo int, weight float64) {
	at := (min(max(y, -binLimit), binLimit)/binLimit + 1) / 2 * (binCount - 1)
	lo = min(int(at), binCount-2)
	return lo, 1 - (at - float64(lo))
}

type twoHotBins struct{}

func (twoHotBins) outputs() int { return binCount }

func (twoHotBins) loss(s *torch.Scope, out *torch.Tensor, z []float32) *torch.Tensor {
	m := int64(len(z))
	index, weight := make([]int64, 2*m), make([]float32, 2*m)
	for i, v := range z {
		lo, w := twoHot(symlog(float64(v)))
		index[2*i], index[2*i+1] = int64(lo), int64(lo+1)
		weight[2*i], weight[2*i+1] = float32(w), float32(1-w)
	}
	logs := s.Gather(s.LogSoftmax(s.View(out, m, binCount), -1), 1, torch.FromInt64(s, index, m, 2))
	return s.Neg(s.Sum(s.Mul(logs, torch.FromFloat32(s, weight, m, 2))))
}

func (twoHotBins) value(s *torch.Scope, out *torch.Tensor) *torch.Tensor {
	places := make([]float32, binCount)
	for i := range places {
		places[i] = float32(bin(i))
	}
	n := out.Shape()[0]
	d := out.Shape()[1] / binCount
	p := s.Softmax(s.View(out, n*d, binCount), -1)
	return s.View(symexp(s, s.MatMul(p, torch.FromFloat32(s, places, binCount, 1))), n, d)
}

// target is how rows are asked for.
func (c Config) target() (target, error) {
	if t, ok := targets[c.Loss]; ok {
		return t, nil
	}
	return nil, fmt.Errorf("unknown loss %q: want %v", c.Loss, Losses)
}
