package probe

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/optimize"

	"actfleet/trainer/coder"
)

// lossOf is a convex loss of a margin m, and its slope.
type lossOf func(m float64) (loss, slope float64)

// logisticLoss is log(1+e^(−m)).
func logisticLoss(m float64) (loss, slope float64) { return softplus(-m), -sigmoid(-m) }

// squaredHinge is max(0, 1−m)².
func squaredHinge(m float64) (loss, slope float64) {
	short := max(0, 1-m)
	return short * short, -2 * short
}

// smoothL1 is the Huber loss of a margin that should be 1.
func smoothL1(m float64) (loss, slope float64) {
	switch e := m - 1; {
	case e > 1:
		return e - 0.5, 1
	case e < -1:
		return -e - 0.5, -1
	default:
		return e * e / 2, e
	}
}

// margin is the problem min (1/n) Σ weight_i·loss(sign_i (w·z_i + b)) + (l2/2)‖w‖² over rows z [n, d].
type margin struct {
	z      blas64.General
	sign   []float64
	weight []float64
	loss   lossOf
	l2     float64
	noBias bool // b stays 0

	margin, pull []float64 // [n] work
}

// gradientLimit is the largest part of the gradient of a fit that has converged.
const gradientLimit = 1e-5

func newMargin(z []float64, n, d int, label []bool, loss lossOf) *margin {
	p := &margin{z: blas64.General{Rows: n, Cols: d, Stride: d, Data: z}, sign: make([]float64, n), weight: make([]float64, n), loss: loss,
		margin: make([]float64, n), pull: make([]float64, n)}
	for i, y := range label {
		p.sign[i], p.weight[i] = float64(2*class(y)-1), 1
	}
	return p
}

// balance gives both classes the same total weight, n/2.
func (p *margin) balance() *margin {
	var count [2]float64
	for _, s := range p.sign {
		count[class(s > 0)]++
	}
	for i, s := range p.sign {
		p.weight[i] = float64(len(p.sign)) / (2 * count[class(s > 0)])
	}
	return p
}

// margins sets margin_i = sign_i (w·z_i + b) for θ = (w, b).
func (p *margin) margins(theta []float64) {
	d := p.z.Cols
	blas64.Gemv(blas.NoTrans, 1, p.z, vector(theta[:d]), 0, vector(p.margin))
	for i, s := range p.sign {
		p.margin[i] = s * (p.margin[i] + theta[d])
	}
}

// dataLoss is the mean loss of the rows.
func (p *margin) dataLoss(theta []float64) (sum float64) {
	p.margins(theta)
	for i, m := range p.margin {
		loss, _ := p.loss(m)
		sum += p.weight[i] * loss
	}
	return sum / float64(len(p.margin))
}

func (p *margin) objective(theta []float64) float64 {
	w := theta[:p.z.Cols]
	return p.dataLoss(theta) + p.l2/2*blas64.Dot(vector(w), vector(w))
}

// gradient of the objective; the intercept is not penalised.
func (p *margin) gradient(grad, theta []float64) {
	d, n := p.z.Cols, float64(p.z.Rows)
	p.margins(theta)
	var bias float64
	for i, s := range p.sign {
		_, slope := p.loss(p.margin[i])
		p.pull[i] = p.weight[i] * s * slope / n
		bias += p.pull[i]
	}
	copy(grad[:d], theta[:d])
	blas64.Gemv(blas.Trans, 1, p.z, vector(p.pull), p.l2, vector(grad[:d]))
	if grad[d] = bias; p.noBias {
		grad[d] = 0
	}
}

// minimise fits with one penalty, from theta on, which it moves.
func (p *margin) minimise(l2 float64, theta []float64, maxIter int) coder.Fit {
	p.l2 = l2
	return descend(p.objective, p.gradient, theta, maxIter)
}

// separates tells whether every row is on its side: without a penalty such a fit has no minimum.
func (p *margin) separates(theta []float64) bool {
	p.margins(theta)
	for _, m := range p.margin {
		if m <= 0 {
			return false
		}
	}
	return true
}

// descend moves theta to a minimum by L-BFGS, until the gradient's largest part is below gradientLimit.
func descend(value func([]float64) float64, gradient func(grad, theta []float64), theta []float64, maxIter int) coder.Fit {
	f := coder.Fit{Gradient: math.MaxFloat64} // JSON has no Inf
	res, err := optimize.Minimize(optimize.Problem{Func: value, Grad: gradient}, theta,
		&optimize.Settings{GradientThreshold: gradientLimit, MajorIterations: maxIter, Converger: optimize.NeverTerminate{}}, &optimize.LBFGS{})
	if res == nil || res.X == nil {
		return f
	}
	_ = err // the line search stops with an error where rounding ends its progress; the gradient decides
	copy(theta, res.X)
	grad := make([]float64, len(theta))
	gradient(grad, theta)
	f.Gradient = min(largest(grad), math.MaxFloat64)
	f.Iterations = res.MajorIterations
	f.Converged = f.Gradient <= gradientLimit
	return f
}

// largest is the greatest absolute value, +Inf where there is a NaN.
func largest(v []float64) (m float64) {
	for _, x := range v {
		if math.IsNaN(x) {
			return math.Inf(1)
		}
		m = max(m, math.Abs(x))
	}
	return m
}

func vector(v []float64) blas64.Vector { return blas64.Vector{N: len(v), Inc: 1, Data: v} }

// softplus is log(1+eᵗ) without overflow.
func softplus(t float64) float64 {
	if t > 0 {
		return t + math.Log1p(math.Exp(-t))
	}
	return math.Log1p(math.Exp(t))
}

func sigmoid(t float64) float64 {
	if t >= 0 {
		return 1 / (1 + math.Exp(-t))
	}
	e := math.Exp(t)
	return e / (1 + e)
}
