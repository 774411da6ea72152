package sae

import (
	"math"
	"slices"
	"testing"

	"actfleet/internal/torch"
)

// dense is the readable reference: the equations of the package doc in dense matrices, for autograd.
type dense struct {
	*torch.Scope
	t *testing.T
	l *Learner
	p map[string]*torch.Tensor
	n int

	z, target, pre, codes *torch.Tensor
}

// literal is the gradients of the loss, times N, and the loss.
func literal(t *testing.T, l *Learner, x []float32, n int) (grads map[string][]float32, loss float64) {
	t.Helper()
	grads = map[string][]float32{}
	err := torch.DoGrad(func(s *torch.Scope) error {
		d := &dense{Scope: s, t: t, l: l, n: n, p: map[string]*torch.Tensor{}}
		for _, q := range l.params {
			d.p[q.Name] = s.Param(d.matrix(q.Value, q.Shape...))
			defer d.p[q.Name].Free()
		}
		total := d.loss(x)
		s.Backward(total)
		loss = total.Item()
		for name, q := range d.p {
			grads[name] = append([]float32(nil), s.Contiguous(s.Grad(q)).Float32s()...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return grads, loss
}

func (d *dense) matrix(v []float32, shape ...int) *torch.Tensor {
	dims := make([]int64, len(shape))
	for i, n := range shape {
		dims[i] = int64(n)
	}
	return torch.FromFloat32(d.Scope, v, dims...)
}

func (d *dense) loss(x []float32) *torch.Tensor {
	l := d.l
	rows := d.matrix(x, d.n, l.Row())
	d.z = d.scaled(d.Narrow(rows, 1, 0, int64(l.D)), l.gainIn)
	d.target = d.scaled(d.Narrow(rows, 1, int64(l.Row()-l.Outputs()), int64(l.Outputs())), l.gainOut)
	if !l.plain {
		d.z = d.Minus(d.z, d.p["b_dec"])
	}
	d.pre = d.Linear(d.z, d.p["W_enc"], d.p["b_enc"])
	penalty := d.activate()
	v := 1 / l.consts[constVariance]
	total := d.Add(d.MulScalar(d.errors(), v), d.MulScalar(penalty, l.lambda()))
	if l.arch.revives {
		e := d.Detach(d.Neg(d.residual(d.codes, d.p["W_dec"], l.M)))
		total = d.Add(total, d.aux(e))
	}
	if l.Arch == MultiTopK {
		more := topMask(d.Scope, d.pre, min(4*l.K, l.M), l.M)
		total = d.Add(total, d.MulScalar(d.Sum(d.Square(d.residual(more, d.p["W_dec"], l.M))), v/8))
	}
	return total
}

// scaled is s·gain·x.
func (d *dense) scaled(x *torch.Tensor, gain []float32) *torch.Tensor {
	x = d.MulScalar(x, float64(d.l.scale))
	if gain != nil {
		x = d.Mul(x, d.matrix(gain, len(gain)))
	}
	return x
}

// residual is what the first m latents reconstruct less the target.
func (d *dense) residual(codes, dec *torch.Tensor, m int) *torch.Tensor {
	rec := d.MatMul(d.Narrow(codes, 1, 0, int64(m)), d.Narrow(dec, 0, 0, int64(m)))
	if d.l.WSkip != nil {
		rec = d.Add(rec, d.Linear(d.z, d.p["W_skip"], nil))
	}
	return d.Minus(d.Add(rec, d.p["b_dec"]), d.target)
}

// errors is Σ‖r‖², of prefixes their mean.
func (d *dense) errors() *torch.Tensor {
	first := []int{d.l.M}
	if d.l.Arch == Matryoshka {
		first = []int{d.l.M / 4, d.l.M / 2, d.l.M}
		if d.l.cfg.Sampled {
			first = d.l.variant.(*nestedTopK).prefixes
		}
	}
	total := d.MulScalar(d.Sum(d.codes), 0)
	for _, m := range first {
		total = d.Add(total, d.MulScalar(d.Sum(d.Square(d.residual(d.codes, d.p["W_dec"], m))), 1/float64(len(first))))
	}
	return total
}

// aux is c·Σ‖ê−e‖²/V_a with the dead latents' k_aux largest.
func (d *dense) aux(e *torch.Tensor) *torch.Tensor {
	l := d.l
	alive := make([]float32, l.M)
	for i := range alive {
		alive[i] = -1e9
	}
	for _, i := range l.dead {
		alive[i] = 0
	}
	aux := topMask(d.Scope, d.Add(d.pre, d.matrix(alive, l.M)), min(l.cfg.AuxK, len(l.dead)), l.M)
	return d.MulScalar(d.Sum(d.Square(d.Minus(d.MatMul(aux, d.p["W_dec"]), e))), l.cfg.AuxCoef/l.consts[constAuxVar])
}

// activate sets the codes [N, M] and returns their penalty, before λ.
func (d *dense) activate() *torch.Tensor {
	l := d.l
	switch l.Arch.Activation() {
	case TopKActivation:
		d.codes = topMask(d.Scope, d.pre, l.K, l.M)
	case ThresholdActivation:
		d.codes = d.Mul(d.pre, d.overBatch())
	case JumpReLUActivation:
		return d.jumps()
	case GatedActivation:
		return d.gated()
	default:
		d.codes = d.Relu(d.pre)
		return d.sparsity()
	}
	return d.MulScalar(d.Sum(d.pre), 0)
}

func (d *dense) values(t *torch.Tensor) []float32 {
	return slices.Clone(d.Contiguous(d.Detach(t)).Float32s())
}

func (d *dense) overBatch() *torch.Tensor {
	values := d.values(d.pre)
	mask := make([]float32, len(values))
	for i := range slowTop(values, d.l.K*d.n) {
		mask[i] = 1
	}
	return d.matrix(mask, d.n, d.l.M)
}

// sparsity is P of the codes.
func (d *dense) sparsity() *torch.Tensor {
	f := d.codes
	sum := d.SumDim(f, 1, false)
	square := d.ClampMin(d.SumDim(d.Square(f), 1, false), 1e-20)
	penalty := d.penalty()
	switch penalty.form {
	case PAnneal:
		p := penalty.exponent(d.l.steps())
		up := d.Exp(d.MulScalar(d.Log(d.AddScalar(f, pEps)), p))
		return d.Sum(d.AddScalar(up, -math.Pow(pEps, p)))
	case Hoyer:
		return d.Sum(d.Div(d.Square(sum), square))
	case Group, GroupHoyer:
		g := d.View(d.Square(f), int64(d.n), int64(d.l.M/d.l.cfg.GroupSize), int64(d.l.cfg.GroupSize))
		norms := d.SumDim(d.Sqrt(d.ClampMin(d.SumDim(g, 2, false), 1e-20)), 1, false)
		if penalty.form == Group {
			return d.Sum(norms)
		}
		return d.Sum(d.Div(d.Square(norms), square))
	case tanhForm:
		return d.Sum(d.Tanh(d.MulScalar(d.Mul(f, d.lengths()), tanhSlope)))
	}
	if penalty.lengths == nil {
		return d.Sum(f)
	}
	return d.Sum(d.Mul(f, d.lengths()))
}

func (d *dense) penalty() *penalty {
	if v, ok := d.l.variant.(*relu); ok {
		return v.penalty
	}
	return d.l.variant.(*jumpReLUTanh).penalty
}

// lengths is n_i [M].
func (d *dense) lengths() *torch.Tensor {
	total, at := d.Zeros(torch.F32, torch.CPU, int64(d.l.M)), 0
	for _, p := range d.l.parts() {
		part := d.Narrow(d.p["W_dec"], 1, int64(at), int64(p))
		total = d.Add(total, d.Sqrt(d.SumDim(d.Square(part), 1, false)))
		at += p
	}
	return total
}

// jumps has the pseudo-derivatives as factors of θ − sg(θ), which is 0.
func (d *dense) jumps() *torch.Tensor {
	l, theta, values := d.l, d.Exp(d.p["log_threshold"]), d.values(d.pre)
	gate, dTheta, dStep := make([]float32, len(values)), make([]float32, len(values)), make([]float32, len(values))
	for i, a := range values {
		v, dt, ds := jump(float64(a), float64(l.Theta[i%l.M]), l.cfg.Bandwidth)
		dTheta[i], dStep[i] = float32(dt), float32(ds)
		if v > 0 {
			gate[i] = 1
		}
	}
	zero := d.Minus(theta, d.Detach(theta))
	g := d.matrix(gate, d.n, l.M)
	d.codes = d.Add(d.Mul(d.pre, g), d.Mul(d.matrix(dTheta, d.n, l.M), zero))
	if l.Arch == JumpReLU {
		return d.Sum(d.Add(g, d.Mul(d.matrix(dStep, d.n, l.M), zero)))
	}
	short := d.Mul(d.Relu(d.Minus(theta, d.pre)), d.lengths())
	return d.Add(d.sparsity(), d.MulScalar(d.Sum(short), l.variant.(*jumpReLUTanh).preact()/l.lambda()))
}

// gated also has the loss of the gates, which reaches neither decoder nor skip.
func (d *dense) gated() *torch.Tensor {
	l := d.l
	open := d.To(d.GtScalar(d.Detach(d.pre), 0), torch.F32)
	u := d.Linear(d.z, d.p["W_enc"], nil)
	mag := d.Relu(d.Add(d.Mul(d.Exp(d.p["r_mag"]), u), d.p["b_mag"]))
	d.codes = d.Mul(open, mag)
	gates := d.Relu(d.pre)
	rec := d.Add(d.MatMul(gates, d.Detach(d.p["W_dec"])), d.Detach(d.p["b_dec"]))
	if l.WSkip != nil {
		rec = d.Add(rec, d.Detach(d.Linear(d.z, d.p["W_skip"], nil)))
	}
	second := d.Sum(d.Square(d.Minus(rec, d.sgTarget())))
	return d.Add(d.Sum(gates), d.MulScalar(second, 1/l.consts[constVariance]/l.lambda()))
}

func (d *dense) sgTarget() *torch.Tensor { return d.Detach(d.target) }
