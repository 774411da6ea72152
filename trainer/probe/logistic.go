package probe

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/optimize"

	"actfleet/trainer/coder"
)

// fit is a linear probe in the units of the data.
type fit struct {
	w          []float64
	b          float64
	l2         float64
	converged  bool
	iterations int
	gradient   float64 // largest part at the end
	loss       float64 // of the train rows, without the penalty
}

// logistic is the problem of fitting standardised rows z [n, d] to signs ±1.
type logistic struct {
	z    blas64.General
	sign []float64
	l2   float64

	margin, pull []float64 // [n] work
}

// gradientLimit is the largest part of the gradient of a fit that has converged.
const gradientLimit = 1e-5

func newLogistic(z []float64, n, d int, label []bool) *logistic {
	p := &logistic{z: blas64.General{Rows: n, Cols: d, Stride: d, Data: z}, sign: make([]float64, n),
		margin: make([]float64, n), pull: make([]float64, n)}
	for i, y := range label {
		p.sign[i] = float64(2*class(y) - 1)
	}
	return p
}

// margins sets margin_i = sign_i (w·z_i + b) for θ = (w, b).
func (p *logistic) margins(theta []float64) {
	d := p.z.Cols
	blas64.Gemv(blas.NoTrans, 1, p.z, vector(theta[:d]), 0, vector(p.margin))
	for i, s := range p.sign {
		p.margin[i] = s * (p.margin[i] + theta[d])
	}
}

// dataLoss is the mean of log(1+e^(−margin)).
func (p *logistic) dataLoss(theta []float64) (sum float64) {
	p.margins(theta)
	for _, m := range p.margin {
		sum += softplus(-m)
	}
	return sum / float64(len(p.margin))
}

func (p *logistic) loss(theta []float64) float64 {
	w := theta[:p.z.Cols]
	return p.dataLoss(theta) + p.l2/2*blas64.Dot(vector(w), vector(w))
}

// gradient of loss; the intercept is not penalised.
func (p *logistic) gradient(grad, theta []float64) {
	d, n := p.z.Cols, float64(p.z.Rows)
	p.margins(theta)
	var bias float64
	for i, s := range p.sign {
		p.pull[i] = -s * sigmoid(-p.margin[i]) / n
		bias += p.pull[i]
	}
	copy(grad[:d], theta[:d])
	blas64.Gemv(blas.Trans, 1, p.z, vector(p.pull), p.l2, vector(grad[:d]))
	grad[d] = bias
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

// minimise fits with one penalty, from theta on, which it moves.
func (p *logistic) minimise(l2 float64, theta []float64, maxIter int) fit {
	p.l2 = l2
	res, err := optimize.Minimize(optimize.Problem{Func: p.loss, Grad: p.gradient}, theta,
		&optimize.Settings{GradientThreshold: gradientLimit, MajorIterations: maxIter, Converger: optimize.NeverTerminate{}}, &optimize.LBFGS{})
	f := fit{l2: l2, gradient: math.MaxFloat64} // JSON has no Inf
	if res == nil || res.X == nil {
		return f
	}
	_ = err // the line search stops with an error where rounding ends its progress; the gradient decides
	copy(theta, res.X)
	grad := make([]float64, len(theta))
	p.gradient(grad, theta)
	f.gradient = min(largest(grad), math.MaxFloat64)
	f.iterations = res.MajorIterations
	f.converged = f.gradient <= gradientLimit
	f.loss = p.dataLoss(theta)
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

// scaling is the mean and standard deviation of every feature of the train rows.
type scaling struct{ mean, std []float64 }

func newScaling(x []float32, d int, rows []int) scaling {
	s := scaling{make([]float64, d), make([]float64, d)}
	for _, i := range rows {
		for j, v := range x[i*d : (i+1)*d] {
			s.mean[j] += float64(v)
		}
	}
	n := float64(len(rows))
	for j := range s.mean {
		s.mean[j] /= n
	}
	for _, i := range rows {
		for j, v := range x[i*d : (i+1)*d] {
			c := float64(v) - s.mean[j]
			s.std[j] += c * c
		}
	}
	for j := range s.std {
		s.std[j] = math.Sqrt(s.std[j] / n)
		if s.std[j] <= 1e-9*math.Abs(s.mean[j]) || s.std[j] == 0 {
			s.std[j] = 1 // a constant feature: z is 0 and so is its weight
		}
	}
	return s
}

// apply is the standardised rows.
func (s scaling) apply(x []float32, d int, rows []int) []float64 {
	z := make([]float64, len(rows)*d)
	for r, i := range rows {
		for j, v := range x[i*d : (i+1)*d] {
			z[r*d+j] = (float64(v) - s.mean[j]) / s.std[j]
		}
	}
	return z
}

// fold turns θ over z into (w, b) over x.
func (s scaling) fold(theta []float64) (w []float64, b float64) {
	d := len(s.mean)
	w, b = make([]float64, d), theta[d]
	for j := range w {
		w[j] = theta[j] / s.std[j]
		b -= w[j] * s.mean[j]
	}
	return w, b
}

// fitLogistic tries the penalties from the strongest on, each from the solution of
// the one before, and takes the converged fit with the least loss on val.
func (d *data) fitLogistic(x []float32, width int, train []int, c Config) Probe {
	s := newScaling(x, width, train)
	p := newLogistic(s.apply(x, width, train), len(train), width, pick(d.Label, train))
	theta := make([]float64, width+1)
	best := Probe{Fit: coder.Fit{ValLoss: math.Inf(1)}, mean: s.mean, std: s.std}
	penalties := slices.Sorted(slices.Values(c.L2))
	slices.Reverse(penalties)
	for _, l2 := range penalties {
		f := p.minimise(l2, theta, c.MaxIter)
		w, b := s.fold(theta)
		q := Probe{Fit: coder.Fit{L2: l2, Converged: f.converged, Iterations: f.iterations, Gradient: f.gradient}, W: w, B: b, mean: s.mean, std: s.std}
		q.ValLoss = d.logLoss(q.Score(x), Val)
		if q.Converged && q.ValLoss < best.ValLoss || !best.Converged && !q.Converged {
			best = q
		}
	}
	return best
}
