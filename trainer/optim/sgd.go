package optim

import (
	"actfleet/trainer/parallel"
	"actfleet/trainer/state"
)

// sgd is gradient descent with momentum.
type sgd struct {
	c      Config
	params []Param
	m      [][]float32
	steps  []int64
}

func newSGD(c Config, params []Param) *sgd {
	return &sgd{c: c, params: params, m: moments(params), steps: make([]int64, 1)}
}

func (s *sgd) Step(lr, scale float64) {
	s.steps[0]++
	b, rate, k, decay := float32(s.c.Beta1), float32(lr), float32(scale), float32(s.c.Decay)
	for i, p := range s.params {
		m := s.m[i]
		parallel.For(len(p.Value), grain, func(lo, hi int) {
			for j := lo; j < hi; j++ {
				m[j] = b*m[j] + k*p.Grad[j] + decay*p.Value[j]
				p.Value[j] -= rate * m[j]
			}
		})
	}
}

func (s *sgd) StepOn(on Tensors, lr float64) {
	s.steps[0]++
	on.each(s.params, func(t Tensors, p Param) {
		m, w := t.State["sgd_m."+p.Name], t.Value[p.Name]
		t.MulScalarTo(m, s.c.Beta1)
		t.AddTo(m, t.scaled(p.Name), 1)
		t.AddTo(m, w, s.c.Decay)
		t.AddTo(w, m, -lr)
	})
}

func (s *sgd) Steps() int                  { return int(s.steps[0]) }
func (s *sgd) Forget(name string, row int) { forget(s.params, s.m, name, row) }

func (s *sgd) State() *state.Set {
	out := &state.Set{}
	save(out, "sgd_m.", s.params, s.m)
	state.Add(out, "sgd_steps", s.steps)
	return out
}
