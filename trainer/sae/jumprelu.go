package sae

import (
	"errors"
	"math"

	"actfleet/internal/torch"
	"actfleet/trainer/optim"
	"actfleet/trainer/ranks"
)

const (
	// JumpReLU learns a threshold for every latent, under an L0 penalty (Rajamanoharan et al. 2024,
	// arXiv:2407.14435).
	JumpReLU Arch = "jumprelu"

	// JumpReLUTanh is JumpReLU with directions of any length, a tanh penalty and a loss on pre-activations below
	// their threshold (Anthropic's update of January 2025).
	JumpReLUTanh Arch = "jumprelu_tanh"
)

var archJumpReLU = architecture{
	arch: JumpReLU, activation: JumpReLUActivation, defaults: usual, check: checkThresholds,
	variant: func(l *Learner) variant { return &jumpReLU{thresholds: newThresholds(l)} },
}

var archJumpReLUTanh = architecture{
	arch: JumpReLUTanh, activation: JumpReLUActivation, free: true, check: checkThresholds,
	defaults: Defaults{Penalty: usual.Penalty, Warmup: 1, Bandwidth: 2, Theta: 0.1},
	variant: func(l *Learner) variant {
		return &jumpReLUTanh{thresholds: newThresholds(l), penalty: newPenalty(l, tanhForm, true),
			sumZ: make([]float64, l.D), count: make([]float64, l.M), sumF: make([]float64, l.M)}
	},
}

func checkThresholds(c Config) error {
	if !(c.Bandwidth > 0) || !(c.Theta > 0) {
		return errors.New("the bandwidth and the threshold of a jumprelu must be positive")
	}
	return nil
}

// thresholds trains log θ and keeps the model's θ.
type thresholds struct {
	base
	log, grad []float32 // [M]
}

func newThresholds(l *Learner) thresholds {
	return thresholds{base: base{l}, log: make([]float32, l.M), grad: make([]float32, l.M)}
}

// logThreshold is the name of log θ among the parameters.
const logThreshold = "log_threshold"

func (v *thresholds) params() []optim.Param {
	return []optim.Param{{Name: logThreshold, Shape: []int{v.l.M}, Value: v.log, Grad: v.grad}}
}

func (v *thresholds) reset(i int) { v.log[i] = float32(math.Log(v.l.cfg.Theta)) }

func (v *thresholds) sync() { exponentials(v.l.Theta, v.log) }

// average finds the averages of log θ where θ belongs.
func (v *thresholds) average(m *Model) { exponentials(m.Theta, m.Theta) }

func exponentials(dst, log []float32) {
	for i, x := range log {
		dst[i] = float32(math.Exp(float64(x)))
	}
}

// jump is f = a·1[a > θ] and the pseudo-derivatives of f and of the step 1[a > θ] with respect to θ:
// those of a rectangle of width ε around θ (Rajamanoharan et al. 2024, arXiv:2407.14435, section 4).
func jump(a, theta, eps float64) (f, dTheta, dStep float64) {
	if a > theta {
		f = a
	}
	if math.Abs((a-theta)/eps) < 0.5 {
		dTheta, dStep = -theta/eps, -1/eps
	}
	return f, dTheta, dStep
}

// choose keeps the latents above their threshold and, with the value 0, those below it that its gradient depends on.
func (v *thresholds) choose(pre []float32, n int) {
	theta, eps := v.l.Theta, v.l.cfg.Bandwidth
	v.l.work.codes.chooseWhere(pre, n, v.l.M, func(i int, a float32) (float32, bool) {
		f, dTheta, _ := jump(float64(a), float64(theta[i]), eps)
		return float32(f), f > 0 || dTheta != 0
	})
}

// backwardThetas adds the gradients of log θ, where l0 is the penalty of an active latent, and clears ∂f of the
// entries whose value is 0.
func (v *thresholds) backwardThetas(l0 float64) {
	l, c, eps := v.l, &v.l.work.codes, v.l.cfg.Bandwidth
	l.work.order.each(func(i int, entries []int32) {
		theta, sum := float64(l.Theta[i]), 0.0
		for _, e := range entries {
			a := float64(c.Val[e])
			if a == 0 {
				a = theta // below the threshold, and kept because it is near
			}
			_, dTheta, dStep := jump(a, theta, eps)
			sum += float64(l.work.dval[e])*dTheta + l0*dStep
			if c.Val[e] == 0 {
				l.work.dval[e] = 0
			}
		}
		v.grad[i] += float32(theta * sum) // ∂/∂log θ = θ·∂/∂θ
	})
}

// tensors is f and the step 1[a > θ] of all latents, with the pseudo-derivatives of jump as factors of θ − sg(θ), which
// is 0.
func (v *thresholds) tensors(p *pass, c chosen) (f, step, theta *torch.Tensor) {
	eps := v.l.cfg.Bandwidth
	theta = p.Exp(p.d.value[logThreshold])
	fixed := p.Detach(theta)
	over := p.Minus(p.Detach(c.a), fixed)
	on := p.To(p.And(p.GtScalar(over, 0), p.GtScalar(p.Detach(c.a), 0)), torch.F32)
	near := p.To(p.LtScalar(p.Abs(p.MulScalar(over, 1/eps)), 0.5), torch.F32)
	zero := p.Mul(near, p.MulScalar(p.Minus(theta, fixed), -1/eps))
	return p.Add(p.Mul(c.a, on), p.Mul(zero, fixed)), p.Add(on, zero), theta
}

type jumpReLU struct {
	thresholds
	total float64 // λ times the active latents of the batch
}

// shift multiplies every threshold by exp(by).
func (v *jumpReLU) shift(by float64) {
	if d := v.l.device; d != nil {
		d.drift += by
		return
	}
	for i := range v.log {
		v.log[i] += float32(by)
	}
	v.sync()
}

func (v *jumpReLU) backward(n int) error {
	return v.l.backwardMain(n, func() { v.backwardThetas(v.l.lambda()) })
}

func (v *jumpReLU) tensors(p *pass) *torch.Tensor {
	c, lambda := p.all(), v.l.lambda()
	f, step, _ := v.thresholds.tensors(p, c)
	l0 := p.Sum(step)
	p.sum("penalty", l0, func(sum []float64) { v.total = lambda * sum[0] })
	return p.Add(p.errors(p.main(c, f)), p.MulScalar(l0, lambda))
}

func (v *jumpReLU) finish() { v.total = v.l.lambda() * float64(v.l.batch.active) }

func (v *jumpReLU) metrics(m map[string]float64, n float64) { addPenalty(m, v.l.cfg, v.total, n) }

// jumpReLUTanh also has the pre-activation loss λ_P Σ ReLU(θ_i − a_i) n_i over all rows and latents. Its gradient with
// respect to a is −λ_P n_i below the threshold: that of all rows, which finish knows from sums alone, less that of the
// entries above it, which backward adds.
type jumpReLUTanh struct {
	thresholds
	penalty     *penalty
	sumZ        []float64 // [D] Σz of the batch
	count, sumF []float64 // [M] rows where the latent is active, Σf_i
}

func (v *jumpReLUTanh) beginBatch() {
	v.penalty.beginBatch()
	clear(v.sumZ)
	clear(v.count)
	clear(v.sumF)
}

func (v *jumpReLUTanh) backward(n int) error {
	return v.l.backwardMain(n, func() {
		v.penalty.backward()
		v.backwardThetas(0)
		v.backwardAbove(n)
	})
}

func (v *jumpReLUTanh) tensors(p *pass) *torch.Tensor {
	c := p.all()
	f, _, theta := v.thresholds.tensors(p, c)
	loss := p.Add(p.errors(p.main(c, f)), v.penalty.tensors(p, f))
	short := p.Mul(p.Relu(p.Minus(theta, c.a)), v.penalty.directions(p))
	below := p.MulScalar(p.Sum(short), v.preact())
	p.sum("below", below, func(sum []float64) { v.penalty.total += sum[0] })
	return p.Add(loss, below)
}

// preact is λ_P/V.
func (v *jumpReLUTanh) preact() float64 { return v.l.cfg.Preact / v.l.consts[constVariance] }

// backwardAbove takes the entries above their threshold out of the pre-activation loss of n rows.
func (v *jumpReLUTanh) backwardAbove(n int) {
	w, p := &v.l.work, float32(v.preact())
	addColumns(v.sumZ, w.z, n, 1)
	w.order.each(func(i int, entries []int32) {
		for _, e := range entries {
			if f := w.codes.Val[e]; f > 0 {
				w.dval[e] += p * v.penalty.lengths[i]
				v.count[i]++
				v.sumF[i] += float64(f)
			}
		}
	})
}

func (v *jumpReLUTanh) sums(b *ranks.Bucket) {
	v.penalty.sums(b)
	ranks.Numbers(b, v.sumZ)
	ranks.Numbers(b, v.count)
	ranks.Numbers(b, v.sumF)
}

// finish adds the gradients of the pre-activation loss as if no latent were active.
func (v *jumpReLUTanh) finish() {
	v.penalty.finish()
	l, p, n := v.l, v.preact(), float64(v.l.batch.n)
	if p == 0 {
		return
	}
	var total float64
	for i := range l.M {
		theta, length := float64(l.Theta[i]), float64(v.penalty.lengths[i])
		row, all := l.grad.WEnc[i*l.D:(i+1)*l.D], n*float64(l.BEnc[i])
		for j, e := range l.WEnc[i*l.D : (i+1)*l.D] {
			all += float64(e) * v.sumZ[j]
			row[j] -= float32(p * length * v.sumZ[j])
		}
		below := n - v.count[i]
		short := below*theta - (all - v.sumF[i]) // Σ(θ−a) below the threshold
		l.grad.BEnc[i] -= float32(p * length * n)
		v.grad[i] += float32(p * length * below * theta)
		v.penalty.lengthen(i, p*short)
		total += p * short * length
	}
	v.penalty.total += total
}

func (v *jumpReLUTanh) metrics(m map[string]float64, n float64) { v.penalty.metrics(m, n) }
