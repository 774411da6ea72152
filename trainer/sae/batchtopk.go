package sae

import (
	"fmt"
	"math"

	"actfleet/trainer/ranks"
)

// chunkRows is how many held rows are encoded at once. It is fixed so that a window gives the same
// bits however it was split into Micro calls.
const chunkRows = 1024

// thetaRate is the weight of a window in the moving average of θ.
const thetaRate = 0.01

// chooseHeld keeps the K·N largest positive pre-activations of the window's N rows, on all ranks together, and adds
// the gradients of those that are of rows held here. Ties go to the earlier row, then to the lower latent.
func (l *Learner) chooseHeld() error {
	n := len(l.held) / l.Row()
	all, err := l.rowsHeld(n)
	if err != nil || all == 0 {
		return err
	}
	defer func() { l.held = l.held[:0] }()
	if uint64(n)*uint64(l.M) > math.MaxUint32 {
		return fmt.Errorf("sae: %d rows of %d latents are more than BatchTopK can rank at once: lower batch", n, l.M)
	}
	if err := l.take(l.held, n); err != nil {
		return err
	}
	s := newSelector(l.K * all)
	if err := l.rank(s, n, l.guess); err != nil {
		return err
	}
	if few, err := l.tooFew(s); err != nil {
		return err
	} else if few {
		if err := l.rank(s, n, 0); err != nil {
			return err
		}
	}
	least, full, err := l.elect(s, n)
	if err != nil {
		return err
	}
	l.guess = 0
	if full {
		l.guess = 0.9 * least
	}
	l.consts[constTheta] = averaged(l.consts[constTheta], float64(least))
	if n > 0 {
		err = l.learn(n)
	}
	return ranks.Agree(l.ranks, err)
}

// rank collects the candidates of the window above a floor, and the dead latents of every row.
func (l *Learner) rank(s *selector, n int, floor float32) error {
	w, k := &l.work, min(l.cfg.AuxK, len(l.dead))
	w.aux.reset(n, k)
	s.cand = s.cand[:0]
	for lo := 0; lo < n; lo += chunkRows {
		hi := min(lo+chunkRows, n)
		err := l.encode(w.z[lo*l.D:hi*l.D], hi-lo, &w.codes, func(pre []float32) {
			floor = s.more(pre, lo*l.M, floor)
			if k > 0 {
				part := Codes{N: hi - lo, K: k, Count: w.aux.Count[lo:hi], Idx: w.aux.Idx[lo*k : hi*k], Val: w.aux.Val[lo*k : hi*k]}
				part.chooseAmong(pre, l.M, l.dead)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// keep fills the codes of n rows of m latents from ranked candidates, whose index is row·m + latent,
// and returns the least value, or 0 when there is none.
func (c *Codes) keep(cand []uint64, n, m int) (least float32) {
	c.N, c.K, c.Count = n, 0, grow(c.Count, n)
	clear(c.Count)
	flat := func(x uint64) int { return int(uint32(candidateIndex(x))) }
	for _, x := range cand {
		c.Count[flat(x)/m]++
	}
	c.ragged()
	for e, x := range cand { // candidates are in the order of the rows
		c.Idx[e], c.Val[e] = int32(flat(x)%m), candidateValue(x)
		if v := c.Val[e]; e == 0 || v < least {
			least = v
		}
	}
	return least
}

// averaged is the threshold after a window whose smallest kept activation is least: a moving
// average that begins with the first; a window without any leaves it.
func averaged(theta, least float64) float64 {
	switch {
	case least <= 0:
		return theta
	case theta < 0:
		return least
	}
	return theta + thetaRate*(least-theta)
}
