package probe

import (
	"cmp"
	"math"
	"slices"

	"actfleet/trainer/coder"
)

// fitSparse is logistic regression on the k features whose standardised class means differ most (Gurnee et al. 2023,
// arXiv:2305.01610).
func fitSparse(p *problem) (Model, coder.Fit) {
	s, z := p.standardised()
	at := p.farthest(z)
	k := len(at)
	few := make([]float64, 0, len(p.train)*k)
	for i := range p.train {
		for _, j := range at {
			few = append(few, z[i*p.d+j])
		}
	}
	m := p.margin(few, k, logisticLoss)
	theta := make([]float64, k+1)
	return p.choose(p.c.L2, func(l2 float64) (Model, coder.Fit) {
		f := m.minimise(l2, theta, p.c.MaxIter)
		wide := make([]float64, p.d+1)
		for i, j := range at {
			wide[j] = theta[i]
		}
		wide[p.d] = theta[k]
		w, b := s.fold(wide)
		f.Separable, f.Size = m.separates(theta), k
		return newLinear(w, b), f
	})
}

// farthest are the k features of standardised rows z whose class means differ most, by rising index.
func (p *problem) farthest(z []float64) []int {
	gap := make([]float64, p.d)
	var count [2]float64
	labels := p.labels()
	for _, y := range labels {
		count[class(y)]++
	}
	for i, y := range labels {
		c := class(y)
		for j := range gap {
			gap[j] += float64(2*c-1) * z[i*p.d+j] / count[c]
		}
	}
	at := make([]int, p.d)
	for j := range at {
		at[j] = j
	}
	slices.SortStableFunc(at, func(a, b int) int { return cmp.Compare(math.Abs(gap[b]), math.Abs(gap[a])) })
	at = at[:min(p.c.K, p.d)]
	slices.Sort(at)
	return at
}
