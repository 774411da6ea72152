package probe

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"actfleet/trainer/coder"
)

// signs are the train labels as ±1, less their mean.
func (p *problem) signs() []float64 {
	y := make([]float64, len(p.train))
	for i, label := range p.labels() {
		y[i] = float64(2*class(label) - 1)
	}
	mean, _ := moments(y)
	for i := range y {
		y[i] -= mean
	}
	return y
}

// fitRidge is min (1/n) Σ (y−w·z−b)² + l2‖w‖² for y = ±1, which is scikit-learn's Ridge with alpha = n·l2 on
// standardised rows.
func fitRidge(p *problem) (Model, coder.Fit) {
	s, z := p.standardised()
	n, d, y := len(p.train), p.d, p.signs()
	rows := blas64.General{Rows: n, Cols: d, Stride: d, Data: z}
	m, side := d, blas.Trans
	if n < d {
		m, side = n, blas.NoTrans
	}
	gram := mat.NewSymDense(m, nil)
	blas64.Syrk(side, 1/float64(n), rows, 0, gram.RawSymmetric())
	return p.choose(p.c.L2, func(l2 float64) (Model, coder.Fit) {
		w, ok := ridge(rows, gram, y, l2)
		if !ok {
			return newLinear(make([]float64, d), 0), coder.Fit{}
		}
		w, _ = s.fold(append(w, 0))
		return p.calibrated(w), coder.Fit{Converged: true}
	})
}

// ridge solves (ZᵀZ/n + l2 I) w = Zᵀy/n, or with fewer rows than features w = Zᵀ(ZZᵀ/n + l2 I)⁻¹ y/n, given the gram.
func ridge(z blas64.General, gram *mat.SymDense, y []float64, l2 float64) (w []float64, ok bool) {
	n := float64(z.Rows)
	a := mat.NewSymDense(gram.SymmetricDim(), nil)
	a.CopySym(gram)
	for i := range gram.SymmetricDim() {
		a.SetSym(i, i, a.At(i, i)+l2)
	}
	w = make([]float64, z.Cols)
	if z.Rows >= z.Cols {
		blas64.Gemv(blas.Trans, 1/n, z, vector(y), 0, vector(w))
		return solve(a, w)
	}
	dual, ok := solve(a, y)
	if ok {
		blas64.Gemv(blas.Trans, 1/n, z, vector(dual), 0, vector(w))
	}
	return w, ok
}

// What MacKay's iteration starts with and when it ends, as in scikit-learn.
const (
	hyperprior    = 1e-6
	evidenceSteps = 300
	evidenceLimit = 1e-3
)

// fitBayesRidge is ridge regression whose noise and penalty maximise the evidence (MacKay 1992), as scikit-learn's
// BayesianRidge iterates it, on standardised rows.
func fitBayesRidge(p *problem) (Model, coder.Fit) {
	s, z := p.standardised()
	w, f := bayesRidge(z, len(p.train), p.d, p.signs())
	w, _ = s.fold(append(w, 0))
	return p.calibrated(w), f
}

func bayesRidge(z []float64, n, d int, y []float64) (w []float64, f coder.Fit) {
	value, direction := spectrum(z, n, d)
	pull := make([]float64, d) // Zᵀy/n
	blas64.Gemv(blas.Trans, 1/float64(n), blas64.General{Rows: n, Cols: d, Stride: d, Data: z}, vector(y), 0, vector(pull))
	total := dot(y, y)
	noise, prior := float64(n)/total, 1.0 // precisions
	for f.Iterations = 1; f.Iterations <= evidenceSteps; f.Iterations++ {
		next := inverse(value, direction, pull, func(v float64) float64 { return 1 / (v + prior/(noise*float64(n))) })
		f.Gradient = apart(next, w)
		w, f.L2 = next, prior/(noise*float64(n))
		if f.Iterations > 1 && f.Gradient < evidenceLimit {
			f.Converged = true
			break
		}
		gamma, fitted := 0.0, 0.0
		for k, v := range value {
			g := noise * float64(n) * v
			gamma += g / (prior + g)
			c := dot(direction[k], w)
			fitted += v * c * c
		}
		rest := max(total-2*float64(n)*dot(pull, w)+float64(n)*fitted, 0)
		prior = (gamma + 2*hyperprior) / (dot(w, w) + 2*hyperprior)
		noise = (float64(n) - gamma + 2*hyperprior) / (rest + 2*hyperprior)
	}
	return w, f
}

// apart is Σ|a−b|, infinite (as JSON has it) where b is nil.
func apart(a, b []float64) (sum float64) {
	if b == nil {
		return math.MaxFloat64
	}
	for i := range a {
		sum += math.Abs(a[i] - b[i])
	}
	return sum
}

func dot(a, b []float64) float64 { return blas64.Dot(vector(a), vector(b)) }
