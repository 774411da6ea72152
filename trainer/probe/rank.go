package probe

import "actfleet/trainer/coder"

func fitRankMSE(p *problem) (Model, coder.Fit) { return p.rank(smoothL1) }

func fitRankBCE(p *problem) (Model, coder.Fit) { return p.rank(logisticLoss) }

func fitRankMargin(p *problem) (Model, coder.Fit) { return p.rank(squaredHinge) }

// rank finds w for which the row of label 1 lies above the other of its pair: min (1/n) Σ loss(t w·(z_a−z_b)) +
// (l2/2)‖w‖² over the pairs whose labels differ, t = ±1. Without an intercept, exchanging the two of a pair changes the
// sign of the score and nothing else.
func (p *problem) rank(loss lossOf) (Model, coder.Fit) {
	s, z := p.standardised()
	labels := p.labels()
	var pairs [][2]int
	var first []bool
	for _, ab := range p.pairs() {
		if labels[ab[0]] != labels[ab[1]] {
			pairs, first = append(pairs, ab), append(first, labels[ab[0]])
		}
	}
	if len(pairs) == 0 {
		return newLinear(make([]float64, p.d), 0), coder.Fit{}
	}
	m := newMargin(differences(z, p.d, pairs), len(pairs), p.d, first, loss)
	m.noBias = true
	theta := make([]float64, p.d+1)
	return p.choose(p.c.L2, func(l2 float64) (Model, coder.Fit) {
		f := m.minimise(l2, theta, p.c.MaxIter)
		w, _ := s.fold(theta)
		return p.calibrated(w), f
	})
}
