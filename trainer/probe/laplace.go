package probe

import (
	"fmt"
	"math"

	"actfleet/trainer/coder"
	"actfleet/trainer/state"
)

// Posterior is a logistic regression with a normal posterior over its weights (Laplace's approximation at the optimum,
// MacKay 1992): the log-odds f of a row have the variance v = 1/Σh + (‖c‖² − Σₖ shrink_k (u_k·c)²)/(n·l2), where
// c = (x−mean)/std, and P(y=1) = σ(f/√(1+πv/8)).
type Posterior struct {
	Linear
	directions []float64 // [R, D] of length 1
	shrink     []float64 // [R] eigenvalue over eigenvalue plus penalty
	center     []float64 // [D] weighted mean of the train rows, in units of the data
	scale      []float64 // [D] standard deviations
	bounds     []float64 // [2] 1/Σh and 1/(n·l2)
}

func emptyLaplace(f coder.Fit) Model {
	m := &Posterior{Linear: *newLinear(make([]float64, f.D), 0)}
	m.directions, m.shrink = make([]float64, f.Size*f.D), make([]float64, f.Size)
	m.center, m.scale, m.bounds = make([]float64, f.D), make([]float64, f.D), make([]float64, 2)
	return m
}

// Variance is that of the log-odds of each row of x [n, D]. Of more than 256 directions in the train rows it is an upper
// bound.
func (m *Posterior) Variance(x []float32) []float64 {
	d := len(m.W)
	out, c := make([]float64, len(x)/max(d, 1)), make([]float64, d)
	for i := range out {
		for j := range c {
			c[j] = (float64(x[i*d+j]) - m.center[j]) / m.scale[j]
		}
		rest := dot(c, c)
		for k, s := range m.shrink {
			a := dot(m.directions[k*d:(k+1)*d], c)
			rest -= s * a * a
		}
		out[i] = m.bounds[0] + max(rest, 0)*m.bounds[1]
	}
	return out
}

// Scores is f/√(1+πv/8) of each row.
func (m *Posterior) Scores(x []float32) []float64 {
	out := m.Linear.Scores(x)
	for i, v := range m.Variance(x) {
		out[i] /= math.Sqrt(1 + math.Pi/8*v)
	}
	return out
}

// Proba is σ of the scores.
func (m *Posterior) Proba(x []float32) []float64 { return sigmoids(m.Scores(x)) }

func (m *Posterior) arrays(s *state.Set, id string) {
	m.Linear.arrays(s, id)
	state.Add(s, "directions_"+id, m.directions, len(m.shrink), len(m.W))
	state.Add(s, "shrink_"+id, m.shrink)
	state.Add(s, "center_"+id, m.center)
	state.Add(s, "scale_"+id, m.scale)
	state.Add(s, "bounds_"+id, m.bounds)
}

func (m *Posterior) check() error {
	for j, v := range m.scale {
		if !(v > 0) {
			return fmt.Errorf("value %d of scale is %v, must be above 0", j, v)
		}
	}
	for k, v := range m.shrink {
		if !(v >= 0 && v <= 1) {
			return fmt.Errorf("value %d of shrink is %v, must be from 0 to 1", k, v)
		}
	}
	if !(m.bounds[0] >= 0 && m.bounds[1] >= 0) {
		return fmt.Errorf("bounds are %v", m.bounds)
	}
	return nil
}

// maxDirections bounds what is kept of a posterior.
const maxDirections = 256

// fitLaplace is fitLogistic with the curvature at its optimum. A penalty of 0 has no posterior and is left out.
func fitLaplace(p *problem) (Model, coder.Fit) {
	s, z := p.standardised()
	m := p.margin(z, p.d, logisticLoss)
	theta := make([]float64, p.d+1)
	var positive []float64
	for _, l2 := range p.c.L2 {
		if l2 > 0 {
			positive = append(positive, l2)
		}
	}
	if positive == nil {
		positive = []float64{leastPenalty}
	}
	return p.choose(positive, func(l2 float64) (Model, coder.Fit) {
		f := m.minimise(l2, theta, p.c.MaxIter)
		q := m.posterior(s, theta)
		f.Size, f.Separable = len(q.shrink), m.separates(theta)
		return q, f
	})
}

// posterior is the curvature at θ: h = σ(m)σ(−m) of each row, around the rows' mean weighed by h.
func (p *margin) posterior(s scaling, theta []float64) *Posterior {
	n, d := p.z.Rows, p.z.Cols
	p.margins(theta)
	h, center, total := make([]float64, n), make([]float64, d), 0.0
	for i, m := range p.margin {
		h[i] = p.weight[i] * sigmoid(m) * sigmoid(-m)
		total += h[i]
		for j := range center {
			center[j] += h[i] * p.z.Data[i*d+j]
		}
	}
	rows := make([]float64, n*d)
	for i := range n {
		for j := range d {
			rows[i*d+j] = math.Sqrt(h[i]) * (p.z.Data[i*d+j] - center[j]/total)
		}
	}
	w, b := s.fold(theta)
	q := &Posterior{Linear: *newLinear(w, b), center: make([]float64, d), scale: s.std, bounds: []float64{1 / total, 1 / (float64(n) * p.l2)}}
	for j := range center {
		q.center[j] = s.mean[j] + s.std[j]*center[j]/total
	}
	value, direction := spectrum(rows, n, d)
	for k := range min(len(value), maxDirections) {
		q.directions = append(q.directions, direction[k]...)
		q.shrink = append(q.shrink, value[k]/(value[k]+p.l2))
	}
	return q
}
