package probe

import (
	"actfleet/trainer/coder"
)

// leastPenalty stands beside l2 = 0 where the train rows are separable and that has no minimum.
const leastPenalty = 1e-3

// fitLogistic tries the penalties from the strongest on, each from the solution of the one before. A fit without a
// penalty that separates the train rows has no minimum and is none; what the least penalty gives takes its place.
func fitLogistic(p *problem) (Model, coder.Fit) {
	s, z := p.standardised()
	m := p.margin(z, p.d, logisticLoss)
	theta := make([]float64, p.d+1)
	fit := func(l2 float64) (Model, coder.Fit) {
		f := m.minimise(l2, theta, p.c.MaxIter)
		f.Separable = m.separates(theta)
		if f.Separable && l2 == 0 {
			f.Converged = false
		}
		return s.linear(theta), f
	}
	best, card := p.choose(p.c.L2, fit)
	if card.Separable && !card.Converged {
		clear(theta)
		return p.choose([]float64{leastPenalty}, fit)
	}
	return best, card
}

// margin is the problem of the train rows' labels over z [n, d].
func (p *problem) margin(z []float64, d int, loss lossOf) *margin {
	m := newMargin(z, len(p.train), d, p.labels(), loss)
	if p.c.Balanced {
		m.balance()
	}
	return m
}

func emptyLogistic(f coder.Fit) Model {
	m := newLinear(make([]float64, f.D), 0)
	m.mean, m.std = make([]float64, f.D), make([]float64, f.D)
	return m
}

// linear is θ over z as a probe over x.
func (s scaling) linear(theta []float64) *Linear {
	w, b := s.fold(theta)
	m := newLinear(w, b)
	m.mean, m.std = s.mean, s.std
	return m
}
