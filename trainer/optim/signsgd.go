package optim

import (
	"actfleet/trainer/parallel"
	"actfleet/trainer/state"
)

// signSGD is schedule-free descent by the signs of the gradient. A parameter is y; x, the result, is
// where (1−β)z + βx = y.
type signSGD struct {
	beta   float64
	params []Param
	z      [][]float32
	steps  []int64
	sums   []float64 // the greatest rate so far, and Σ of its squares
}

func newSignSGD(c Config, params []Param) *signSGD {
	return &signSGD{beta: c.Beta1, params: params, z: moments(params), steps: make([]int64, 1), sums: make([]float64, 2)}
}

func (s *signSGD) Step(lr, scale float64) {
	if s.steps[0] == 0 {
		for i, p := range s.params {
			copy(s.z[i], p.Value)
		}
	}
	c, d := s.advance(lr)
	toward, down, rate := float32(c), float32(d), float32(lr)
	for i, p := range s.params {
		z := s.z[i]
		parallel.For(len(p.Value), grain, func(lo, hi int) {
			for j := lo; j < hi; j++ {
				g := sign(p.Grad[j])
				y := p.Value[j]
				p.Value[j] = y + toward*(z[j]-y) - down*g
				z[j] -= rate * g
			}
		})
	}
}

// advance counts the step: y goes towards z by the share toward and then down by the rate down.
func (s *signSGD) advance(lr float64) (toward, down float64) {
	s.steps[0]++
	s.sums[0] = max(s.sums[0], lr)
	weight := s.sums[0] * s.sums[0]
	s.sums[1] += weight
	if s.sums[1] > 0 {
		toward = weight / s.sums[1]
	}
	return toward, lr * (1 - s.beta*(1-toward))
}

func (s *signSGD) StepOn(on Tensors, lr float64) {
	first := s.steps[0] == 0
	toward, down := s.advance(lr)
	on.each(s.params, func(t Tensors, p Param) {
		y, z, g := t.Value[p.Name], t.State["sign_z."+p.Name], t.Sign(t.Grad[p.Name])
		if first {
			t.CopyTo(z, y)
		}
		t.LerpTo(y, z, toward)
		t.AddTo(y, g, -down)
		t.AddTo(z, g, -lr)
	})
}

func sign(v float32) float32 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}

func (s *signSGD) Steps() int { return int(s.steps[0]) }

// Forget begins anew at the row's value.
func (s *signSGD) Forget(name string, row int) {
	for i, p := range s.params {
		if n := p.rowLen(); p.Name == name {
			copy(s.z[i][row*n:(row+1)*n], p.Value[row*n:])
		}
	}
}

// Average is x = (y − (1−β)z)/β.
func (s *signSGD) Average(dst [][]float32) {
	b := float32(s.beta)
	for i, p := range s.params {
		for j, y := range p.Value {
			dst[i][j] = y
			if s.steps[0] > 0 {
				dst[i][j] = (y - (1-b)*s.z[i][j]) / b
			}
		}
	}
}

func (s *signSGD) State() *state.Set {
	out := &state.Set{}
	save(out, "sign_z.", s.params, s.z)
	state.Add(out, "sign_sums", s.sums)
	state.Add(out, "sign_steps", s.steps)
	return out
}
