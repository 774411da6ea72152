package calibrate

import "math"

// Platt is P(y=1) = σ(A·f + B) of log-odds f (Platt 1999).
type Platt struct{ A, B float64 }

// plattSteps bounds Newton's steps.
const plattSteps = 100

// NewPlatt minimises the log loss with Platt's targets (N₁+1)/(N₁+2) and 1/(N₀+2), which keep it finite where the labels
// are separable; Newton's method with backtracking (Lin, Lin and Weng 2007).
func NewPlatt(f []float64, positive []bool) Platt {
	var n [2]float64
	for _, y := range positive {
		n[class(y)]++
	}
	target := make([]float64, len(f))
	for i, y := range positive {
		if target[i] = 1 / (n[0] + 2); y {
			target[i] = (n[1] + 1) / (n[1] + 2)
		}
	}
	m := Platt{0, math.Log((n[1] + 1) / (n[0] + 1))}
	loss := m.loss(f, target)
	for range plattSteps {
		da, db := m.step(f, target)
		for t := 1.0; ; t /= 2 {
			next := Platt{m.A + t*da, m.B + t*db}
			if l := next.loss(f, target); l < loss {
				m, loss = next, l
				break
			} else if t < 1e-10 {
				return m
			}
		}
	}
	return m
}

func (m Platt) loss(f, target []float64) (sum float64) {
	for i, v := range f {
		s := m.A*v + m.B
		sum += math.Max(s, 0) + math.Log1p(math.Exp(-math.Abs(s))) - target[i]*s
	}
	return sum
}

// step is Newton's.
func (m Platt) step(f, target []float64) (da, db float64) {
	const ridge = 1e-12
	haa, hab, hbb, ga, gb := ridge, 0.0, ridge, 0.0, 0.0
	for i, v := range f {
		p := m.Value(v)
		h, g := p*(1-p), p-target[i]
		haa, hab, hbb = haa+h*v*v, hab+h*v, hbb+h
		ga, gb = ga+g*v, gb+g
	}
	det := haa*hbb - hab*hab
	return -(hbb*ga - hab*gb) / det, -(haa*gb - hab*ga) / det
}

// Value is the probability at log-odds f.
func (m Platt) Value(f float64) float64 { return 1 / (1 + math.Exp(-m.A*f-m.B)) }

// LogOdds of a probability, of one within 1e-12 of 0 or 1 of that.
func LogOdds(p float64) float64 {
	const least = 1e-12
	p = math.Min(math.Max(p, least), 1-least)
	return math.Log(p / (1 - p))
}
