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

// toThresholds adds the gradients of log θ and takes from ∂f what passes no value.
func (l *Learner) toThresholds(c *Codes) {
	pay, eps := l.lambda(), l.cfg.Bandwidth
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
