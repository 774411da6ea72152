package probe

import "actfleet/trainer/coder"

// fitSVM is the linear support vector machine with squared hinge: l2 is 1/(nC) of scikit-learn's LinearSVC, whose
// intercept is penalised as well.
func fitSVM(p *problem) (Model, coder.Fit) {
	s, z := p.standardised()
	m := p.margin(z, p.d, squaredHinge)
	theta := make([]float64, p.d+1)
	return p.choose(p.c.L2, func(l2 float64) (Model, coder.Fit) {
		f := m.minimise(l2, theta, p.c.MaxIter)
		w, _ := s.fold(theta)
		return p.calibrated(w), f
	})
}
