package optim

import (
	"math"

	"actfleet/internal/torch"
	"actfleet/trainer/parallel"
	"actfleet/trainer/state"
)

// adafactor keeps the second moments of a matrix as those of its rows and columns.
type adafactor struct {
	decay     float64
	params    []Param
	row, col  [][]float32 // means of squares; of a vector all of them are in row
	steps     []int64
	estimates []float32 // work: 1/√v̂·g of one parameter
}

// The constants of the paper and of torch.
const (
	adafactorDecay = -0.8       // β₂ of step t is 1 − t^−.8
	adafactorLeast = 1e-3       // least scale of a parameter
	adafactorEps   = 0x1p-23    // least root of a second moment
	adafactorLimit = float64(1) // of an update's mean square
)

func newAdafactor(c Config, params []Param) *adafactor {
	a := &adafactor{decay: c.Decay, params: params, steps: make([]int64, 1)}
	for _, p := range params {
		rows, cols := len(p.Value), 0
		if len(p.Shape) == 2 {
			rows, cols = p.Shape[0], p.Shape[1]
		}
		a.row, a.col = append(a.row, make([]float32, rows)), append(a.col, make([]float32, cols))
	}
	return a
}

func (a *adafactor) Step(lr, scale float64) {
	a.steps[0]++
	t := float64(a.steps[0])
	rho := math.Min(lr, 1/math.Sqrt(t))
	for i, p := range a.params {
		n := float64(len(p.Value))
		alpha := math.Max(adafactorLeast, math.Sqrt(square(p.Value)/n)) * rho
		u := a.update(i, math.Pow(t, adafactorDecay), scale)
		alpha /= math.Max(1, math.Sqrt(square(u)/n)/adafactorLimit)
		keep, rate := float32(1-lr*a.decay), float32(alpha)
		parallel.For(len(p.Value), grain, func(lo, hi int) {
			for j := lo; j < hi; j++ {
				p.Value[j] = keep*p.Value[j] - rate*u[j]
			}
		})
	}
}

// update moves the moments of a parameter towards those of its gradient and returns g/√v̂.
func (a *adafactor) update(i int, toward, scale float64) []float32 {
	p := a.params[i]
	if cap(a.estimates) < len(p.Value) {
		a.estimates = make([]float32, len(p.Value))
	}
	u := a.estimates[:len(p.Value)]
	if len(a.col[i]) == 0 {
		for j, g := range p.Grad {
			g := float64(g) * scale
			v := float64(a.row[i][j])
			v += toward * (g*g - v)
			a.row[i][j] = float32(v)
			u[j] = float32(g / math.Max(math.Sqrt(v), adafactorEps))
		}
		return u
	}
	a.factor(i, toward, scale)
	cols, mean := len(a.col[i]), 0.0
	for _, v := range a.row[i] {
		mean += float64(v) / float64(len(a.row[i]))
	}
	mean = math.Max(mean, adafactorEps)
	parallel.For(len(a.row[i]), grain/cols+1, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			for c := range cols {
				v := float64(a.row[i][r]) * float64(a.col[i][c]) / mean
				u[r*cols+c] = float32(float64(p.Grad[r*cols+c]) * scale / math.Max(math.Sqrt(v), adafactorEps))
			}
		}
	})
	return u
}

// factor moves the means of rows and columns.
func (a *adafactor) factor(i int, toward, scale float64) {
	p, rows, cols := a.params[i], len(a.row[i]), len(a.col[i])
	sums := make([]float64, cols)
	for r := range rows {
		var sum float64
		for c, g := range p.Grad[r*cols : (r+1)*cols] {
			q := float64(g) * scale
			sum += q * q
			sums[c] += q * q
		}
		a.row[i][r] += float32(toward * (sum/float64(cols) - float64(a.row[i][r])))
	}
	for c, s := range sums {
		a.col[i][c] += float32(toward * (s/float64(rows) - float64(a.col[i][c])))
	}
}

func (a *adafactor) StepOn(on Tensors, lr float64) {
	a.steps[0]++
	step := float64(a.steps[0])
	rho := math.Min(lr, 1/math.Sqrt(step))
	on.each(a.params, func(t Tensors, p Param) {
		w, root := t.Value[p.Name], math.Sqrt(float64(len(p.Value)))
		u := t.updateFactors(p, math.Pow(step, adafactorDecay))
		limit := t.ClampMin(t.MulScalar(t.Norm(u), 1/(root*adafactorLimit)), 1)
		alpha := t.MulScalar(t.ClampMin(t.MulScalar(t.Norm(w), 1/root), adafactorLeast), rho)
		t.MulScalarTo(w, 1-lr*a.decay)
		t.AddTo(w, t.Mul(u, t.Div(alpha, limit)), -1)
	})
}

// updateFactors is update on tensors.
func (t Tensors) updateFactors(p Param, toward float64) *torch.Tensor {
	g, row := t.scaled(p.Name), t.State["factor_row."+p.Name]
	square := t.Square(g)
	if len(p.Shape) != 2 {
		t.LerpTo(row, square, toward)
		return t.Div(g, t.ClampMin(t.Sqrt(row), adafactorEps))
	}
	col := t.State["factor_col."+p.Name]
	t.LerpTo(row, t.MeanDim(square, 1, false), toward)
	t.LerpTo(col, t.MeanDim(square, 0, false), toward)
	mean := t.ClampMin(t.Mean(row), adafactorEps)
	v := t.Mul(t.Unsqueeze(t.Div(row, mean), 1), col)
	return t.Div(g, t.ClampMin(t.Sqrt(v), adafactorEps))
}

func (a *adafactor) Steps() int { return int(a.steps[0]) }

func (a *adafactor) Forget(name string, row int) {
	for i, p := range a.params {
		if n := len(a.row[i]) / p.Shape[0]; p.Name == name {
			clear(a.row[i][row*n : (row+1)*n])
		}
	}
}

func (a *adafactor) State() *state.Set {
	s := &state.Set{}
	for i, p := range a.params {
		state.Add(s, "factor_row."+p.Name, a.row[i])
		if len(a.col[i]) > 0 {
			state.Add(s, "factor_col."+p.Name, a.col[i])
		}
	}
	state.Add(s, "factor_steps", a.steps)
	return s
}
