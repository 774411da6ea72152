package sae

import (
	"errors"
	"fmt"
	"math"

	"actfleet/trainer/optim"
	"actfleet/trainer/parallel"
)

// prepareArch checks and adds what an architecture needs besides the four arrays.
func (l *Learner) prepareArch() error {
	c := &l.cfg
	if _, err := ParseArch(string(c.Arch)); err != nil {
		return fmt.Errorf("sae: %w", err)
	}
	if !c.Arch.Revives() {
		c.AuxK = 0
	}
	switch c.Arch {
	case BatchTopK, Matryoshka:
		l.consts = append(l.consts, -1)
		l.prefixes = prefixes(l.M, c.Groups)
	case JumpReLU:
		if !(c.Bandwidth > 0) || !(c.Theta > 0) {
			return errors.New("sae: the bandwidth and the threshold of a jumprelu must be positive")
		}
		l.logTheta, l.gradTheta = make([]float32, l.M), make([]float32, l.M)
		l.params = append(l.params, optim.Param{Name: "log_threshold", Shape: []int{l.M}, Value: l.logTheta, Grad: l.gradTheta})
	}
	return nil
}

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
	f := 1.0
	if t := l.adam.Steps(); t < l.cfg.Rise {
		f = float64(t+1) / float64(l.cfg.Rise)
	}
	return f * l.cfg.Penalty / l.consts[constVariance]
}

// microPenalised adds the gradients of n rows where every latent that fires is paid for.
func (l *Learner) microPenalised(x []float32, n int) error {
	l.reserve(n)
	w := &l.work
	l.centre(w.z, x, n)
	err := l.encode(w.z, n, func(pre []float32) {
		if l.Arch == JumpReLU {
			w.codes.near(pre, n, l.Theta, l.cfg.Bandwidth)
		} else {
			w.codes.above(pre, n, l.M, nil)
		}
	})
	if err != nil {
		return err
	}
	if err := l.reconstruct(n); err != nil {
		return err
	}
	g := float32(2 / l.consts[constVariance])
	l.toValues(&w.codes, w.r, g)
	w.order.sort(&w.codes, l.M)
	if l.Arch == JumpReLU {
		l.toThresholds(&w.codes)
	} else {
		l.payValues(&w.codes)
	}
	l.toWeights(&w.codes, w.r, g)
	return nil
}

// payValues adds the L1 penalty's gradient λ‖d_i‖/V to ∂f.
func (l *Learner) payValues(c *Codes) {
	pay := float32(l.lambda())
	l.eachEntry(func(i int, entries []int32) {
		p := pay * float32(l.length(i))
		for _, e := range entries {
			l.work.dval[e] += p
		}
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

// length is ‖d_i‖: 1 unless directions are free.
func (l *Learner) length(i int) float64 {
	if !l.Arch.free() {
		return 1
	}
	return math.Sqrt(squareNorm(l.WDec[i*l.D : (i+1)*l.D]))
}

// payPenalty returns what the window pays and adds the part of its gradient that goes to free
// directions, λ/V · Σf_i · d_i/‖d_i‖.
func (l *Learner) payPenalty() (paid float64) {
	switch pay := l.lambda(); {
	case l.Arch == JumpReLU:
		return pay * float64(l.win.active)
	case l.Arch.Revives():
		return 0
	default:
		for i, f := range l.win.sumF {
			norm := l.length(i)
			paid += pay * f * norm
			if l.Arch.free() && f > 0 {
				axpy(float32(pay*f/max(norm, 1e-12)), l.WDec[i*l.D:(i+1)*l.D], l.grad.WDec[i*l.D:(i+1)*l.D])
			}
		}
		return paid
	}
}
