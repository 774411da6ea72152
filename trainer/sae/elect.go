package sae

import (
	"math"

	"actfleet/trainer/ranks"
)

// rowsHeld is the number of rows that all ranks hold of a BatchTopK window of which n are here.
func (l *Learner) rowsHeld(n int) (int, error) {
	if !l.Arch.OverBatch() {
		return 0, nil
	}
	return ranks.Total(l.ranks, n)
}

// tooFew tells whether fewer than K·N candidates lie above the guess.
func (l *Learner) tooFew(s *selector) (bool, error) {
	if l.guess == 0 {
		return false, nil
	}
	found, err := ranks.Total(l.ranks, len(s.cand))
	return found < s.k, err
}

// elect leaves the s.k greatest candidates of all ranks, fills the codes of n rows with those of this rank, and
// returns the least value chosen anywhere, and whether there are s.k.
func (l *Learner) elect(s *selector, n int) (least float32, full bool, err error) {
	if len(s.cand) > s.k {
		s.shrink()
	}
	if !ranks.Many(l.ranks) {
		return l.work.codes.keep(s.cand, n, l.M), len(s.cand) == s.k, nil
	}
	found, err := ranks.Total(l.ranks, len(s.cand))
	if err != nil {
		return 0, false, err
	}
	values := make([]uint32, len(s.cand))
	for i, c := range s.cand {
		values[i] = uint32(c >> 32) // the bits of positive floats are in the order of the floats
	}
	bits, share, err := ranks.Greatest(l.ranks, values, s.k)
	if err != nil {
		return 0, false, err
	}
	kept := s.cand[:0]
	for i, c := range s.cand {
		if values[i] > bits || values[i] == bits && share > 0 {
			kept = append(kept, c)
		}
		if values[i] == bits {
			share--
		}
	}
	l.work.codes.keep(kept, n, l.M)
	return math.Float32frombits(bits), found >= s.k, nil
}
