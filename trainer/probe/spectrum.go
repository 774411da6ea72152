package probe

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// spectrum is the eigenvalues of (1/n) RᵀR of rows r [n, d], the greatest first, with their directions [k, d] of length
// 1; those below 1e-12 of the greatest are left out. It is found from the smaller of RᵀR and RRᵀ.
func spectrum(r []float64, n, d int) (value []float64, direction [][]float64) {
	rows := blas64.General{Rows: n, Cols: d, Stride: d, Data: r}
	wide := n < d
	m, side := d, blas.Trans
	if wide {
		m, side = n, blas.NoTrans
	}
	gram := mat.NewSymDense(m, nil)
	blas64.Syrk(side, 1/float64(n), rows, 0, gram.RawSymmetric())
	var eig mat.EigenSym
	if !eig.Factorize(gram, true) {
		return nil, nil
	}
	all := eig.Values(nil)
	var vectors mat.Dense
	eig.VectorsTo(&vectors)
	for k := m - 1; k >= 0 && all[k] > 1e-12*max(all[m-1], 0) && all[k] > 0; k-- {
		v := mat.Col(nil, k, &vectors)
		if wide {
			u := v
			v = make([]float64, d)
			blas64.Gemv(blas.Trans, 1/math.Sqrt(all[k]*float64(n)), rows, vector(u), 0, vector(v))
		}
		value, direction = append(value, all[k]), append(direction, v)
	}
	return value, direction
}

// inverse is Σᵢ f(value) (v·direction) direction: of f = 1/value the pseudo-inverse times v.
func inverse(value []float64, direction [][]float64, v []float64, f func(value float64) float64) []float64 {
	out := make([]float64, len(v))
	for k, u := range direction {
		blas64.Axpy(f(value[k])*blas64.Dot(vector(u), vector(v)), vector(u), vector(out))
	}
	return out
}

// solve is (A)⁻¹ b of a symmetric positive definite A; false where it is not that.
func solve(a *mat.SymDense, b []float64) ([]float64, bool) {
	var chol mat.Cholesky
	if !chol.Factorize(a) {
		return nil, false
	}
	out := mat.NewVecDense(len(b), nil)
	err := chol.SolveVecTo(out, mat.NewVecDense(len(b), b))
	return out.RawVector().Data, err == nil || largest(out.RawVector().Data) < math.Inf(1)
}

// centred are the train rows [n, d] less the mean of their class, with the means and how many rows each class has.
func (p *problem) centred() (r []float64, mean [2][]float64, count [2]float64) {
	d := p.d
	mean = [2][]float64{make([]float64, d), make([]float64, d)}
	for _, i := range p.train {
		c := class(p.rows.Label[i])
		count[c]++
		for j, v := range p.x[i*d : (i+1)*d] {
			mean[c][j] += float64(v)
		}
	}
	for c := range mean {
		for j := range mean[c] {
			mean[c][j] /= count[c]
		}
	}
	r = make([]float64, 0, len(p.train)*d)
	for _, i := range p.train {
		m := mean[class(p.rows.Label[i])]
		for j, v := range p.x[i*d : (i+1)*d] {
			r = append(r, float64(v)-m[j])
		}
	}
	return r, mean, count
}
