package probe

import "gonum.org/v1/gonum/blas/blas64"

// eraser takes a two-valued concept q out of rows z of mean 0, so that no linear probe finds it, and moves them as little
// as that needs: r = z − δ (a·z) with δ = μ₁−μ₀ of the concept and a = Σ⁺δ/(δ·Σ⁺δ) (LEACE: Belrose et al. 2023,
// arXiv:2306.03819).
type eraser struct{ delta, a []float64 }

func newEraser(z []float64, n, d int, q []bool) eraser {
	var mean [2][]float64
	var count [2]float64
	for c := range mean {
		mean[c] = make([]float64, d)
	}
	for i, v := range q {
		count[class(v)]++
		blas64.Axpy(1, vector(z[i*d:(i+1)*d]), vector(mean[class(v)]))
	}
	e := eraser{delta: make([]float64, d)}
	for j := range e.delta {
		e.delta[j] = mean[1][j]/max(count[1], 1) - mean[0][j]/max(count[0], 1)
	}
	value, direction := spectrum(z, n, d)
	e.a = inverse(value, direction, e.delta, func(v float64) float64 { return 1 / v })
	if scale := dot(e.delta, e.a); scale > 0 {
		blas64.Scal(1/scale, vector(e.a))
	}
	return e
}

// rows are z without the concept.
func (e eraser) rows(z []float64, d int) []float64 {
	out := make([]float64, len(z))
	copy(out, z)
	for i := 0; i < len(z); i += d {
		blas64.Axpy(-dot(e.a, z[i:i+d]), vector(e.delta), vector(out[i:i+d]))
	}
	return out
}

// before is the direction over z that is w over what rows gives.
func (e eraser) before(w []float64) []float64 {
	out := make([]float64, len(w))
	copy(out, w)
	blas64.Axpy(-dot(w, e.delta), vector(e.a), vector(out))
	return out
}

// erased are the standardised train rows without their polarity, and what took it out.
func (p *problem) erased() ([]float64, eraser) {
	_, z := p.standardised()
	e := newEraser(z, len(p.train), p.d, pick(p.rows.Polarity, p.train))
	return e.rows(z, p.d), e
}
