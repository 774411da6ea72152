package probe

import (
	"math"
	"slices"

	"actfleet/trainer/coder"
)

func fitL1(p *problem) (Model, coder.Fit) { return p.elastic(1) }

func fitElasticNet(p *problem) (Model, coder.Fit) { return p.elastic(0.5) }

// elastic is min (1/n) Σ log(1+e^(−margin)) + λ(ρ‖w‖₁ + (1−ρ)/2‖w‖²), which is scikit-learn's with C = 1/(nλ) and
// l1_ratio ρ, over standardised rows.
func (p *problem) elastic(rho float64) (Model, coder.Fit) {
	s, z := p.standardised()
	e := newElastic(p.margin(z, p.d, logisticLoss))
	theta := make([]float64, p.d+1)
	return p.choose(p.c.L2, func(lambda float64) (Model, coder.Fit) {
		f := e.minimise(lambda*rho, lambda*(1-rho), theta, p.c.MaxIter)
		f.Separable = e.separates(theta)
		w, b := s.fold(theta)
		return newLinear(w, b), f
	})
}

// elastic is a margin problem with an L1 penalty, solved by Newton steps whose quadratic models are minimised by
// coordinate descent (Yuan, Ho and Lin 2012, newGLMNET).
type elastic struct {
	*margin
	l1     float64
	column []float64 // [d, n], z by features
	h      []float64 // [n] second derivatives over n
	moved  []float64 // [n] z·step of each row
	grad   []float64 // [d+1] of the smooth part
	step   []float64 // [d+1]
}

func newElastic(m *margin) *elastic {
	n, d := m.z.Rows, m.z.Cols
	e := &elastic{margin: m, column: make([]float64, n*d), h: make([]float64, n), moved: make([]float64, n), grad: make([]float64, d+1), step: make([]float64, d+1)}
	for i := range n {
		for j := range d {
			e.column[j*n+i] = m.z.Data[i*d+j]
		}
	}
	return e
}

// penalised is the whole objective.
func (e *elastic) penalised(theta []float64) float64 {
	sum := e.objective(theta)
	for _, w := range theta[:e.z.Cols] {
		sum += e.l1 * math.Abs(w)
	}
	return sum
}

// violation is how far θ is from a minimum: the largest part of the least subgradient. It leaves the gradient in grad.
func (e *elastic) violation(theta []float64) (most float64) {
	e.gradient(e.grad, theta)
	for j, g := range e.grad {
		switch {
		case j == e.z.Cols:
			g = math.Abs(g)
		case theta[j] != 0:
			g = math.Abs(g + math.Copysign(e.l1, theta[j]))
		default:
			g = max(0, math.Abs(g)-e.l1)
		}
		if most = max(most, g); math.IsNaN(g) {
			return math.MaxFloat64
		}
	}
	return most
}

// minimise moves theta to the minimum.
func (e *elastic) minimise(l1, l2 float64, theta []float64, maxIter int) (f coder.Fit) {
	e.l1, e.l2 = l1, l2
	for f.Gradient = e.violation(theta); f.Gradient > gradientLimit && f.Iterations < maxIter; f.Iterations++ {
		e.newton(theta)
		if !e.search(theta) {
			break
		}
		f.Gradient = e.violation(theta)
	}
	f.Converged = f.Gradient <= gradientLimit
	return f
}

// sweeps bounds the passes over the coordinates in one Newton step.
const sweeps = 100

// newton sets step to the minimum of the quadratic model at theta.
func (e *elastic) newton(theta []float64) {
	clear(e.step)
	clear(e.moved)
	n := float64(e.z.Rows)
	for i, m := range e.margin.margin {
		s := sigmoid(m)
		e.h[i] = max(e.weight[i]*s*(1-s), 1e-12) / n
	}
	for range sweeps {
		most := e.shift(e.z.Cols, theta)
		for j := range e.z.Cols {
			most = max(most, e.shift(j, theta))
		}
		if most < gradientLimit/10 {
			return
		}
	}
}

// shift minimises the model over one coordinate and returns how much the gradient there moved.
func (e *elastic) shift(j int, theta []float64) float64 {
	n, bias := e.z.Rows, j == e.z.Cols
	var col []float64
	if !bias {
		col = e.column[j*n : (j+1)*n]
	}
	g, a := e.grad[j], 0.0
	for i, h := range e.h {
		z := 1.0
		if !bias {
			z = col[i]
		}
		g, a = g+h*z*e.moved[i], a+h*z*z
	}
	l1 := e.l1
	if bias {
		l1 = 0
	} else {
		g, a = g+e.l2*e.step[j], a+e.l2
	}
	if a <= 0 {
		return 0
	}
	at := theta[j] + e.step[j]
	by := soft(at-g/a, l1/a) - at
	if by == 0 {
		return 0
	}
	e.step[j] += by
	for i := range e.moved {
		if bias {
			e.moved[i] += by
		} else {
			e.moved[i] += by * col[i]
		}
	}
	return math.Abs(by) * a
}

// soft moves v towards 0 by t.
func soft(v, t float64) float64 {
	return math.Copysign(max(0, math.Abs(v)-t), v)
}

// search moves theta along the step, by halves of it until the objective falls; false where it does not.
func (e *elastic) search(theta []float64) bool {
	from, base := slices.Clone(theta), e.penalised(theta)
	for t := 1.0; t > 1e-10; t /= 2 {
		for j, s := range e.step {
			theta[j] = from[j] + t*s
		}
		if e.penalised(theta) < base {
			return true
		}
	}
	copy(theta, from)
	return false
}
