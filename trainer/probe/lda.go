package probe

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"actfleet/trainer/coder"
)

// fitLDA is linear discriminant analysis: w = Σ⁻¹(μ₁−μ₀), with Σ the mean over the classes, by their shares, of
// covariances shrunk as Ledoit and Wolf (2004) say over features of variance 1; the log-odds of normal classes with that
// covariance. It is scikit-learn's LinearDiscriminantAnalysis with solver lsqr and shrinkage auto.
func fitLDA(p *problem) (Model, coder.Fit) {
	r, mean, count := p.centred()
	n := count[0] + count[1]
	sigma := mat.NewSymDense(p.d, nil)
	for c := range mean {
		rows := make([]float64, 0, int(count[c])*p.d)
		for i, label := range p.labels() {
			if class(label) == c {
				rows = append(rows, r[i*p.d:(i+1)*p.d]...)
			}
		}
		s := ledoitWolf(rows, int(count[c]), p.d)
		s.ScaleSym(count[c]/n, s)
		sigma.AddSym(sigma, s)
	}
	diff, middle := make([]float64, p.d), make([]float64, p.d)
	for j := range diff {
		diff[j], middle[j] = mean[1][j]-mean[0][j], (mean[1][j]+mean[0][j])/2
	}
	constant(sigma)
	w, ok := solve(sigma, diff)
	if !ok {
		return newLinear(diff, 0), coder.Fit{}
	}
	return newLinear(w, math.Log(count[1]/count[0])-dot(w, middle)), coder.Fit{Converged: largest(w) > 0}
}

// constant gives features without variance, whose means do not differ, a variance, so that the matrix has an inverse.
func constant(s *mat.SymDense) {
	for j := range s.SymmetricDim() {
		if s.At(j, j) == 0 {
			s.SetSym(j, j, 1)
		}
	}
}

// ledoitWolf is the covariance of rows r [n, d] of mean 0, drawn towards a multiple of the identity by the share that
// Ledoit and Wolf estimate, where features are scaled to variance 1 first and back afterwards. It writes to r.
func ledoitWolf(r []float64, n, d int) *mat.SymDense {
	std := deviations(r, n, d)
	var fourth, trace, square float64 // Σ‖x‖⁴, tr S, ‖S‖²
	for i := range n {
		var norm float64
		for j := range d {
			r[i*d+j] /= std[j]
			norm += r[i*d+j] * r[i*d+j]
		}
		fourth += norm * norm
	}
	s := mat.NewSymDense(d, nil)
	blas64.Syrk(blas.Trans, 1/float64(n), blas64.General{Rows: n, Cols: d, Stride: d, Data: r}, 0, s.RawSymmetric())
	for i := range d {
		trace += s.At(i, i)
		for j := range d {
			square += s.At(i, j) * s.At(i, j)
		}
	}
	mu := trace / float64(d)
	beta := (fourth/float64(n) - square) / float64(d) / float64(n)
	delta := (square - 2*mu*trace + float64(d)*mu*mu) / float64(d)
	shrink := 0.0
	if beta = min(beta, delta); beta > 0 {
		shrink = beta / delta
	}
	for i := range d {
		for j := i; j < d; j++ {
			v := (1 - shrink) * s.At(i, j)
			if i == j {
				v += shrink * mu
			}
			s.SetSym(i, j, v*std[i]*std[j])
		}
	}
	return s
}

// deviations are the standard deviations of the features of rows r [n, d] of mean 0, 1 of a constant one.
func deviations(r []float64, n, d int) []float64 {
	std := make([]float64, d)
	for i, v := range r {
		std[i%d] += v * v / float64(n)
	}
	for j := range std {
		if std[j] = math.Sqrt(std[j]); std[j] == 0 {
			std[j] = 1
		}
	}
	return std
}
