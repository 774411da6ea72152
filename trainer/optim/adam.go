package optim

import (
	"math"

	"actfleet/internal/torch"
	"actfleet/trainer/parallel"
	"actfleet/trainer/state"
)

// Adam is Adam, AdamW where Decay is above 0, or SparseAdam.
type Adam struct {
	Beta1, Beta2, Eps, Decay float64

	params []Param
	m, v   [][]float32
	steps  []int64 // one element: t
	sparse bool    // rows without gradient stay as they are
}

// NewAdam starts with moments of zero and the constants of the paper.
func NewAdam(params []Param) *Adam {
	return &Adam{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, params: params, m: moments(params), v: moments(params), steps: make([]int64, 1)}
}

// NewSparseAdam is SparseAdam with the same constants.
func NewSparseAdam(params []Param) *Adam {
	a := NewAdam(params)
	a.sparse = true
	return a
}

// grain is the least number of elements worth a goroutine of their own.
const grain = 1 << 14

// Step moves the parameters by their gradients times scale.
func (a *Adam) Step(lr, scale float64) {
	a.steps[0]++
	k := a.constants(lr, scale)
	for i, p := range a.params {
		step := func(lo, hi int) { k.Step(p.Value[lo:hi], p.Grad[lo:hi], a.m[i][lo:hi], a.v[i][lo:hi]) }
		if !a.sparse {
			parallel.For(len(p.Value), grain, step)
			continue
		}
		n := p.rowLen()
		parallel.For(p.Shape[0], grain/n+1, func(lo, hi int) {
			for row := lo; row < hi; row++ {
				if anything(p.Grad[row*n : (row+1)*n]) {
					step(row*n, (row+1)*n)
				}
			}
		})
	}
}

// StepOn is Step on tensors.
func (a *Adam) StepOn(on Tensors, lr float64) {
	a.steps[0]++
	k := a.constants(lr, 1)
	on.each(a.params, func(t Tensors, p Param) {
		g, w, m, v := t.scaled(p.Name), t.Value[p.Name], t.State["adam_m."+p.Name], t.State["adam_v."+p.Name]
		if a.sparse {
			a.stepRows(t, k, g, w, m, v)
			return
		}
		t.LerpTo(m, g, float64(1-k.B1))
		t.MulScalarTo(v, float64(k.B2))
		t.AddcmulTo(v, g, g, float64(1-k.B2))
		if k.Keep != 1 {
			t.MulScalarTo(w, float64(k.Keep))
		}
		t.AddcdivTo(w, m, t.root(k, v), -float64(k.LR))
	})
}

// stepRows is the step of the rows that have a gradient; the others change by 0.
func (a *Adam) stepRows(t Tensors, k torch.Adam, g, w, m, v *torch.Tensor) {
	rows := t.NeScalar(g, 0)
	if len(g.Shape()) > 1 {
		rows = t.GtScalar(t.SumDim(t.To(rows, torch.F32), 1, true), 0)
	}
	on := t.To(rows, torch.F32)
	t.AddTo(m, t.Mul(on, t.Minus(g, m)), float64(1-k.B1))
	t.AddTo(v, t.Mul(on, t.Minus(t.Square(g), v)), float64(1-k.B2))
	t.AddcdivTo(w, t.Mul(on, m), t.root(k, v), -float64(k.LR))
}

// root is √(v Root) + Eps.
func (t Tensors) root(k torch.Adam, v *torch.Tensor) *torch.Tensor {
	return t.AddScalar(t.Sqrt(t.MulScalar(v, float64(k.Root))), float64(k.Eps))
}

func anything(v []float32) bool {
	for _, x := range v {
		if x != 0 {
			return true
		}
	}
	return false
}

func (a *Adam) constants(lr, scale float64) torch.Adam {
	t := float64(a.steps[0])
	k := torch.Adam{
		B1: float32(a.Beta1), B2: float32(a.Beta2), Scale: float32(scale), Keep: float32(1 - lr*a.Decay),
		LR:   float32(lr / (1 - math.Pow(a.Beta1, t))),
		Root: float32(1 / (1 - math.Pow(a.Beta2, t))), Eps: float32(a.Eps),
	}
	if a.sparse { // its ε stands beside the root of v as it is
		k.Eps = float32(a.Eps / math.Sqrt(1-math.Pow(a.Beta2, t)))
	}
	return k
}

// Steps is the number of steps taken.
func (a *Adam) Steps() int { return int(a.steps[0]) }

// Forget zeroes the moments of a row.
func (a *Adam) Forget(name string, row int) {
	forget(a.params, a.m, name, row)
	forget(a.params, a.v, name, row)
}

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
