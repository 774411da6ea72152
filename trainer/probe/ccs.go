package probe

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"

	"actfleet/trainer/coder"
)

// Of contrast-consistent search: fits from other starts, of which the one of least loss is kept, and the L2 penalty.
const (
	ccsStarts = 10
	ccsDecay  = 1e-3
)

// ccs is contrast-consistent search (Burns et al. 2022, arXiv:2212.03827): min (1/n) Σ (p⁺ + p⁻ − 1)² + min(p⁺, p⁻)² +
// (decay/2)‖w‖² over pairs, p = σ(w·r + b).
type ccs struct {
	plus, minus blas64.General // [n, d]
	p, pull     [2][]float64   // [n] work: the probabilities and the slopes
}

// fitCCS searches on standardised rows without their polarity (LEACE). Labels of train rows say which end is true.
func fitCCS(p *problem) (Model, coder.Fit) {
	r, e := p.erased()
	s := newCCS(r, p.d, p.pairs())
	rng := rand.New(rand.NewPCG(p.c.Seed, 0x636373)) // its own stream: "ccs"
	var best []float64
	card, least := coder.Fit{}, math.Inf(1)
	for range ccsStarts {
		theta := make([]float64, p.d+1)
		for j := range p.d {
			theta[j] = rng.NormFloat64() / math.Sqrt(float64(p.d))
		}
		f := descend(s.loss, s.gradient, theta, p.c.MaxIter)
		if loss := s.loss(theta); loss < least {
			best, card, least = theta, f, loss
		}
	}
	if best == nil {
		return newLinear(make([]float64, p.d), 0), coder.Fit{}
	}
	w, _ := p.scale.fold(append(e.before(best[:p.d]), 0))
	return p.calibrated(p.oriented(w)), card
}

func newCCS(r []float64, d int, pairs [][2]int) *ccs {
	n := len(pairs)
	s := &ccs{}
	for side, m := range []*blas64.General{&s.plus, &s.minus} {
		*m = blas64.General{Rows: n, Cols: d, Stride: d, Data: make([]float64, 0, n*d)}
		for _, ab := range pairs {
			m.Data = append(m.Data, r[ab[side]*d:(ab[side]+1)*d]...)
		}
		s.p[side], s.pull[side] = make([]float64, n), make([]float64, n)
	}
	return s
}

func (s *ccs) probabilities(theta []float64) {
	d := s.plus.Cols
	for side, m := range []blas64.General{s.plus, s.minus} {
		blas64.Gemv(blas.NoTrans, 1, m, vector(theta[:d]), 0, vector(s.p[side]))
		for i, t := range s.p[side] {
			s.p[side][i] = sigmoid(t + theta[d])
		}
	}
}

func (s *ccs) loss(theta []float64) (sum float64) {
	s.probabilities(theta)
	for i, a := range s.p[0] {
		b := s.p[1][i]
		least := min(a, b)
		sum += (a+b-1)*(a+b-1) + least*least
	}
	w := theta[:s.plus.Cols]
	return sum/float64(s.plus.Rows) + ccsDecay/2*dot(w, w)
}

func (s *ccs) gradient(grad, theta []float64) {
	d, n := s.plus.Cols, float64(s.plus.Rows)
	s.probabilities(theta)
	grad[d] = 0
	for i, a := range s.p[0] {
		b := s.p[1][i]
		da, db := 2*(a+b-1), 2*(a+b-1)
		if a <= b {
			da += 2 * a
		} else {
			db += 2 * b
		}
		s.pull[0][i], s.pull[1][i] = da*a*(1-a)/n, db*b*(1-b)/n
		grad[d] += s.pull[0][i] + s.pull[1][i]
	}
	copy(grad[:d], theta[:d])
	blas64.Gemv(blas.Trans, 1, s.plus, vector(s.pull[0]), ccsDecay, vector(grad[:d]))
	blas64.Gemv(blas.Trans, 1, s.minus, vector(s.pull[1]), 1, vector(grad[:d]))
}
