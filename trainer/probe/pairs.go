package probe

import (
	"errors"
	"fmt"

	"actfleet/trainer/coder"
)

// ErrPairs says that the rows do not make pairs.
var ErrPairs = errors.New("the rows are not in pairs")

// pairs are the train rows of each value of Pair that two of them have: the one of polarity 1 first where polarities are
// known, else in the order of the rows.
func (p *problem) pairs() (pairs [][2]int) {
	first := map[string]int{}
	for i, row := range p.train { // indices among the train rows, as in z
		name := p.rows.Pair[row]
		at, ok := first[name]
		switch {
		case name == "":
		case !ok:
			first[name] = i
		case p.rows.Polarity != nil && p.rows.Polarity[row]:
			pairs = append(pairs, [2]int{i, at})
		default:
			pairs = append(pairs, [2]int{at, i})
		}
	}
	return pairs
}

// differences are z of the first less z of the second of every pair, [pairs, d].
func differences(z []float64, d int, pairs [][2]int) []float64 {
	out := make([]float64, 0, len(pairs)*d)
	for _, ab := range pairs {
		for j := range d {
			out = append(out, z[ab[0]*d+j]-z[ab[1]*d+j])
		}
	}
	return out
}

// checkPairs refuses what pairs cannot be: three rows of one, rows in two splits, one polarity twice; and train rows that
// make none.
func (r *Rows) checkPairs() error {
	if r.Pair == nil {
		return nil
	}
	of, whole := map[string][]int{}, 0
	for i, name := range r.Pair {
		if name == "" || r.Frozen[r.Split[i]] || r.Split[i] == "" {
			continue
		}
		of[name] = append(of[name], i)
		switch at := of[name]; {
		case len(at) > 2:
			return fmt.Errorf("%w: pair %.60q has more than two rows, for example %s, %s and %s", ErrPairs, name, r.name(at[0]), r.name(at[1]), r.name(i))
		case len(at) == 2 && r.Split[at[0]] != r.Split[i]:
			return fmt.Errorf("%w: pair %.60q has %s in %s and %s in %s", ErrLeak, name, r.name(at[0]), r.Split[at[0]], r.name(i), r.Split[i])
		case len(at) == 2 && r.Polarity != nil && r.Polarity[at[0]] == r.Polarity[i]:
			return fmt.Errorf("%w: %s and %s of pair %.60q have the same polarity", ErrPairs, r.name(at[0]), r.name(i), name)
		case len(at) == 2 && r.Split[i] == Train:
			whole++
		}
	}
	if whole < 2 {
		return fmt.Errorf("%w: the train split has %d whole pairs", ErrPairs, whole)
	}
	return nil
}

// oriented is w or −w: the one along which the train rows of label 1 lie higher.
func (p *problem) oriented(w []float64) []float64 {
	var sum, n [2]float64
	for _, i := range p.train {
		c := class(p.rows.Label[i])
		sum[c] += project(p.x[i*p.d:(i+1)*p.d], w)
		n[c]++
	}
	if sum[1]/n[1] < sum[0]/n[0] {
		for j := range w {
			w[j] = -w[j]
		}
	}
	return w
}

// fitLAT is the direction in which the two of a pair differ most: the first principal direction of the differences, not
// centred, so that the order within a pair means nothing (Zou et al. 2023, arXiv:2310.01405). Labels say its sign.
func fitLAT(p *problem) (Model, coder.Fit) {
	s, z := p.standardised()
	pairs := p.pairs()
	_, direction := spectrum(differences(z, p.d, pairs), len(pairs), p.d)
	if len(direction) == 0 {
		return newLinear(make([]float64, p.d), 0), coder.Fit{}
	}
	w, _ := s.fold(append(direction[0], 0))
	return p.calibrated(p.oriented(w)), coder.Fit{Converged: true}
}
