package optim

import (
	"errors"
	"math"

	"actfleet/trainer/parallel"
	"actfleet/trainer/state"
)

// ErrNonFinite says that an Inf or NaN turned up in training.
var ErrNonFinite = errors.New("not finite")

// Param is an array that is trained and the gradient it gets, of equal length.
type Param struct {
	Name        string
	Shape       []int
	Value, Grad []float32
}

// Adam holds the moments of a fixed list of parameters.
type Adam struct {
	Beta1, Beta2, Eps float64

	params []Param
	m, v   [][]float32
	steps  []int64 // one element: t
}

// NewAdam starts with moments of zero and the constants of the paper.
func NewAdam(params []Param) *Adam {
	a := &Adam{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, params: params, steps: make([]int64, 1)}
	for _, p := range params {
		a.m = append(a.m, make([]float32, len(p.Value)))
		a.v = append(a.v, make([]float32, len(p.Value)))
	}
	return a
}

// grain is the least number of elements worth a goroutine of their own.
const grain = 1 << 14

// Step moves the parameters by their gradients times scale.
func (a *Adam) Step(lr, scale float64) {
	a.steps[0]++
	t := float64(a.steps[0])
	k := constants{
		b1: float32(a.Beta1), b2: float32(a.Beta2), scale: float32(scale),
		lr:   float32(lr / (1 - math.Pow(a.Beta1, t))),
		root: float32(1 / (1 - math.Pow(a.Beta2, t))), eps: float32(a.Eps),
	}
	for i, p := range a.params {
		parallel.For(len(p.Value), grain, func(lo, hi int) {
			k.step(p.Value[lo:hi], p.Grad[lo:hi], a.m[i][lo:hi], a.v[i][lo:hi])
		})
	}
}

type constants struct{ b1, b2, scale, lr, root, eps float32 }

func (k constants) step(value, grad, m, v []float32) {
	grad, m, v = grad[:len(value)], m[:len(value)], v[:len(value)]
	for i := range value {
		g := grad[i] * k.scale
		m[i] = k.b1*m[i] + (1-k.b1)*g
		v[i] = k.b2*v[i] + (1-k.b2)*g*g
		value[i] -= k.lr * m[i] / (float32(math.Sqrt(float64(v[i]*k.root))) + k.eps)
	}
}

// Forget zeroes the moments of a row of a parameter: of what stands under one index of its first
// dimension.
func (a *Adam) Forget(name string, row int) {
	for i, p := range a.params {
		if n := len(p.Value) / p.Shape[0]; p.Name == name {
			clear(a.m[i][row*n : (row+1)*n])
			clear(a.v[i][row*n : (row+1)*n])
		}
	}
}

// Steps is the number of steps taken.
func (a *Adam) Steps() int { return int(a.steps[0]) }

// State is the moments and the step count.
func (a *Adam) State() *state.Set {
	s := &state.Set{}
	for i, p := range a.params {
		state.Add(s, "adam_m."+p.Name, a.m[i], p.Shape...)
		state.Add(s, "adam_v."+p.Name, a.v[i], p.Shape...)
	}
	state.Add(s, "adam_steps", a.steps)
	return s
}

// Norm is the Euclidean norm of all gradients together.
func Norm(params []Param) float64 {
	var sum float64
	for _, p := range params {
		sum += square(p.Grad)
	}
	return math.Sqrt(sum)
}

func square(v []float32) float64 {
	return parallel.Sum(len(v), func(lo, hi int) (sum float64) {
		for _, x := range v[lo:hi] {
			sum += float64(x) * float64(x)
		}
		return sum
	})
}

// NonFinite names the first parameter whose gradient holds an Inf or NaN, or "".
func NonFinite(params []Param) string {
	for _, p := range params {
		if n := square(p.Grad); math.IsNaN(n) || math.IsInf(n, 0) {
			return p.Name
		}
	}
	return ""
}

// Clip is the factor that brings a gradient of the given norm to at most limit;
// a limit of 0 is none.
func Clip(norm, limit float64) float64 {
	if limit <= 0 || norm <= limit {
		return 1
	}
	return limit / norm
}

// Schedule is the factor of the learning rate before step (counted from 0) of
// total: a linear rise over warmup steps, 1, and a linear fall to 0 over the last
// decay steps. A total of 0 has no fall.
func Schedule(step, total, warmup, decay int) float64 {
	f := 1.0
	if step < warmup {
		f = float64(step+1) / float64(warmup)
	}
	if left := total - step; total > 0 && left < decay {
		f = min(f, float64(left)/float64(decay))
	}
	return f
}
