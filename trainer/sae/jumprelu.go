package sae

import "math"

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

// near keeps the latents above their threshold and, with the value 0, those below it that its
// gradient depends on.
func (c *Codes) near(pre []float32, n int, theta []float32, eps float64) {
	c.chooseWhere(pre, n, len(theta), func(i int, a float32) (float32, bool) {
		f, dTheta, _ := jump(float64(a), float64(theta[i]), eps)
		return float32(f), f > 0 || dTheta != 0
	})
}

// toThresholds adds the gradients of log θ, where an active latent costs pay, and takes from ∂f what
// passes no value.
func (l *Learner) toThresholds(c *Codes, pay float64) {
	eps := l.cfg.Bandwidth
	l.eachEntry(func(i int, entries []int32) {
		theta, sum := float64(l.Theta[i]), 0.0
		for _, e := range entries {
			a := float64(c.Val[e])
			if a == 0 {
				a = theta // below the threshold, and kept because it is near
			}
			_, dTheta, dStep := jump(a, theta, eps)
			sum += float64(l.work.dval[e])*dTheta + pay*dStep
			if c.Val[e] == 0 {
				l.work.dval[e] = 0
			}
		}
		l.gradTheta[i] += float32(theta * sum) // ∂/∂log θ = θ·∂/∂θ
	})
}

// The pre-activation loss of JumpReLUTanh is λ_P Σ ReLU(θ_i − a_i) n_i over all rows and latents. Its
// gradient with respect to a is −λ_P n_i below the threshold: that of all rows, which Step knows from
// sums alone, less that of the entries above it.

// preact is λ_P/V.
func (l *Learner) preact() float64 {
	if l.Arch != JumpReLUTanh {
		return 0
	}
	return l.cfg.Preact / l.consts[constVariance]
}

// payShare takes the entries above their threshold out of the pre-activation loss of n rows.
func (l *Learner) payShare(n int) {
	w, p := &l.work, l.preact()
	addColumns(l.win.sumZ, w.z, n, 1)
	l.eachEntry(func(i int, entries []int32) {
		for _, e := range entries {
			if w.codes.Val[e] > 0 {
				w.dval[e] += float32(p) * l.lengths[i]
			}
		}
	})
}

// payPreact adds the rest of its gradients and returns what is paid.
func (l *Learner) payPreact() (paid float64) {
	p, n := l.preact(), float64(l.win.n)
	if p == 0 {
		return 0
	}
	for i := range l.M {
		theta, length := float64(l.Theta[i]), float64(l.lengths[i])
		row, all := l.grad.WEnc[i*l.D:(i+1)*l.D], n*float64(l.BEnc[i])
		for j, e := range l.WEnc[i*l.D : (i+1)*l.D] {
			all += float64(e) * l.win.sumZ[j]
			row[j] -= float32(p * length * l.win.sumZ[j])
		}
		below := n - l.win.count[i]
		short := below*theta - (all - l.win.sumF[i]) // Σ(θ−a) below the threshold
		l.grad.BEnc[i] -= float32(p * length * n)
		l.gradTheta[i] += float32(p * length * below * theta)
		l.lengthen(i, p*short)
		paid += p * short * length
	}
	return paid
}
