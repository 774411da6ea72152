package probe

import (
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"actfleet/trainer/coder"
)

// fitTTPD trains the truth and polarity direction (Bürger et al. 2024, arXiv:2407.12831). With τ = ±1 the label and q = ±1
// the polarity (a statement that affirms or negates), the general truth direction t_G is the first of the two that least
// squares finds in centred x ≈ τ t_G + τq t_P; the polarity direction is a logistic regression's of q; a second logistic
// regression weighs the projections on the two. Both have an L2 penalty of one row's weight, on standardised features.
func fitTTPD(p *problem) (Model, coder.Fit) {
	s, z := p.standardised()
	n := len(p.train)
	direction := make([]float64, p.d+1)
	q := newMargin(z, n, p.d, pick(p.rows.Polarity, p.train), logisticLoss)
	f := q.minimise(1/float64(n), direction, p.c.MaxIter)
	polarity, _ := s.fold(direction)
	truth, ok := p.generalTruth(s.mean)
	if !ok || !f.Converged {
		f.Converged = false
		return newLinear(truth, 0), f
	}
	two := make([]float32, 0, 2*n)
	for _, i := range p.train {
		x := p.x[i*p.d : (i+1)*p.d]
		two = append(two, float32(project(x, truth)), float32(project(x, polarity)))
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	flat := newScaling(two, 2, all)
	theta := make([]float64, 3)
	last := newMargin(flat.apply(two, 2, all), n, 2, p.labels(), logisticLoss).minimise(1/float64(n), theta, p.c.MaxIter)
	c, b := flat.fold(theta)
	w := make([]float64, p.d)
	blas64.Axpy(c[0], vector(truth), vector(w))
	blas64.Axpy(c[1], vector(polarity), vector(w))
	f.Converged, f.Iterations, f.Gradient = f.Converged && last.Converged, f.Iterations+last.Iterations, max(f.Gradient, last.Gradient)
	return newLinear(w, b), f
}

// generalTruth is t_G; false where τ and τq are the same, so that nothing tells it from t_P.
func (p *problem) generalTruth(mean []float64) ([]float64, bool) {
	gram := mat.NewSymDense(2, nil)
	sum := [2][]float64{make([]float64, p.d), make([]float64, p.d)}
	for _, i := range p.train {
		tau := float64(2*class(p.rows.Label[i]) - 1)
		a := [2]float64{tau, tau * float64(2*class(p.rows.Polarity[i])-1)}
		blas64.Syr(1, vector(a[:]), gram.RawSymmetric())
		for k := range sum {
			for j, v := range p.x[i*p.d : (i+1)*p.d] {
				sum[k][j] += a[k] * (float64(v) - mean[j])
			}
		}
	}
	det := gram.At(0, 0)*gram.At(1, 1) - gram.At(0, 1)*gram.At(0, 1)
	if det <= 1e-9*gram.At(0, 0)*gram.At(1, 1) {
		return sum[0], false
	}
	truth := make([]float64, p.d)
	blas64.Axpy(gram.At(1, 1)/det, vector(sum[0]), vector(truth))
	blas64.Axpy(-gram.At(0, 1)/det, vector(sum[1]), vector(truth))
	return truth, true
}
