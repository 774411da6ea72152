package sae

import (
	"math"

	"actfleet/trainer/parallel"
)

// beginArch sets what an architecture begins with.
func (l *Learner) beginArch() {
	for i := range l.logTheta {
		l.logTheta[i] = float32(math.Log(l.cfg.Theta))
	}
	l.takeTheta()
}

// takeTheta brings the model's thresholds up to date with what is learned.
func (l *Learner) takeTheta() {
	for i := range l.Theta {
		if l.Arch.OverBatch() {
			l.Theta[i] = float32(max(l.consts[constTheta], 0))
		} else {
			l.Theta[i] = float32(math.Exp(float64(l.logTheta[i])))
		}
	}
}

// lambda is λ/V of the step that is being prepared.
func (l *Learner) lambda() float64 {
	f := l.cfg.Penalty / l.consts[constVariance]
	if t := l.steps(); t < l.cfg.Rise {
		f *= float64(t+1) / float64(l.cfg.Rise)
	}
	if len(l.consts) > constMatch && l.cfg.Sparsity == PAnneal {
		f *= l.consts[constMatch]
	}
	return f
}

// backwardPenalised adds the gradients of n rows where every latent that fires is paid for.
func (l *Learner) backwardPenalised(n int) {
	w, g := &l.work, float32(2/l.consts[constVariance])
	l.toValues(&w.codes, w.r, g)
	w.order.sort(&w.codes, l.M)
	switch l.Arch {
	case Gated:
		l.toGates(n)
	case JumpReLU:
		l.toThresholds(&w.codes, l.lambda())
	case JumpReLUTanh:
		l.payValues()
		l.toThresholds(&w.codes, 0)
		l.payShare(n)
	default:
		l.payValues()
	}
	l.toWeights(&w.codes, w.r, g)
}

// payValues adds what is paid for the values to ∂f and to the window.
func (l *Learner) payValues() {
	c := &l.work.codes
	l.win.paid += l.pay(c.Val, l.lambda())
	if l.cfg.Sparsity == PAnneal {
		p := l.exponent(l.steps() + 1)
		for _, f := range c.Val {
			l.win.next += power(float64(f), p)
		}
	}
	if l.lengths == nil || l.cfg.Sparsity != L1 && l.cfg.Sparsity != tanhForm {
		return
	}
	l.eachEntry(func(i int, entries []int32) {
		for _, e := range entries {
			_, _, d := l.form(float64(c.Val[e]), float64(l.lengths[i]))
			l.win.toLength[i] += d
		}
	})
}

// pay adds λ'∂P/∂v to ∂f of the entries and returns ΣP, where v are their values.
func (l *Learner) pay(v []float32, pay float64) float64 {
	c := &l.work.codes
	return l.perRow(c.N, func(b, _, _ int) float64 {
		idx, _ := c.row(b)
		lo := c.at(b)
		return l.pays(idx, v[lo:lo+len(idx)], l.work.dval[lo:lo+len(idx)], l.lengths, pay)
	})
}

// eachEntry hands every latent the entries of its codes.
func (l *Learner) eachEntry(f func(i int, entries []int32)) {
	o := &l.work.order
	parallel.For(l.M, rowGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			f(i, o.entries[o.start[i]:o.start[i+1]])
		}
	})
}

// length is n_i: the sum over the vectors side by side of the length of d_i's part; 1 where all of
// d_i is a unit vector of one part.
func (l *Learner) length(i int) (sum float64) {
	l.eachPart(i, func(d, _ []float32) { sum += math.Sqrt(squareNorm(d)) })
	return sum
}

// eachPart hands over the parts of d_i and of its gradient.
func (l *Learner) eachPart(i int, f func(d, g []float32)) {
	o := l.Outputs()
	d, g := l.WDec[i*o:(i+1)*o], l.grad.WDec[i*o:(i+1)*o]
	for _, p := range l.parts() {
		f(d[:p], g[:p])
		d, g = d[p:], g[p:]
	}
}

// payPenalty returns what the window pays and adds the part of its gradient that goes to the
// directions, ∂n_i/∂d_i = d_i/‖d_i‖ of every part.
func (l *Learner) payPenalty() (paid float64) {
	pay := l.lambda()
	switch {
	case l.Arch == JumpReLU:
		return pay * float64(l.win.active)
	case l.Arch.Revives():
		return 0
	}
	for i := range l.lengths {
		l.lengthen(i, pay*l.win.toLength[i])
	}
	return pay*l.win.paid + l.payPreact()
}

// lengthen adds the gradient of v·n_i to d_i's.
func (l *Learner) lengthen(i int, v float64) {
	if v == 0 {
		return
	}
	l.eachPart(i, func(d, g []float32) {
		axpy(float32(v/max(math.Sqrt(squareNorm(d)), 1e-12)), d, g)
	})
}

// matchPenalty changes λ so that the exponent of the next step makes the window just seen pay the
// same as before.
func (l *Learner) matchPenalty() {
	if l.cfg.Sparsity == PAnneal && l.win.paid > 0 && l.win.next > 0 && len(l.consts) > constMatch {
		l.consts[constMatch] *= l.win.paid / l.win.next
	}
}
