package vq

import "actfleet/trainer/ranks"

// Distribute makes the learner one of several.
func (l *chainLearner) Distribute(r ranks.Ranks, from int) {
	l.ranks = r
	for _, s := range l.stats {
		s.from = from
	}
}

// Distribute makes the learner one of several.
func (l *codecLearner) Distribute(r ranks.Ranks, from int) {
	l.ranks = r
	if l.stat != nil {
		l.stat.from = from * l.dims.Ids
	}
}

// gather makes the window that of all ranks.
func (l *chainLearner) gather() error {
	if !ranks.Distributed(l.ranks) {
		return nil
	}
	var b ranks.Bucket
	for _, s := range l.stats {
		s.offer(&b)
	}
	l.seen.offer(&b)
	l.spread.offer(&b)
	return b.AllReduce(l.ranks)
}

// gather makes the gradients and the window those of all ranks.
func (l *codecLearner) gather() error {
	if !ranks.Distributed(l.ranks) {
		return nil
	}
	var b ranks.Bucket
	for _, p := range l.params {
		b.Floats(p.Grad)
	}
	if l.stat != nil {
		l.stat.offer(&b)
	}
	l.seen.offer(&b)
	l.spread.offer(&b)
	ranks.Number(&b, &l.recon)
	return b.AllReduce(l.ranks)
}

// offer gives what a window adds up to be summed; its spare rows come together when some are needed.
func (s *stat) offer(b *ranks.Bucket) {
	ranks.Number(b, &s.rows)
	ranks.Number(b, &s.error)
	ranks.Numbers(b, s.count)
	ranks.Numbers(b, s.sum)
}

func (t *tally) offer(b *ranks.Bucket) {
	ranks.Number(b, &t.rows)
	for i := range t.count {
		ranks.Numbers(b, t.count[i])
		ranks.Numbers(b, t.alike[i])
	}
}

func (s *spread) offer(b *ranks.Bucket) {
	ranks.Number(b, &s.rows)
	ranks.Number(b, &s.error, &s.square)
	ranks.Numbers(b, s.total)
}

// spares are up to most rows of the window for dead codes, those of all ranks that rank lowest.
func (s *stat) spares(r ranks.Ranks, most int) ([][]float32, error) {
	rows := s.spare.rows()
	if !ranks.Distributed(r) || most == 0 {
		return rows, nil
	}
	keys := make([]float64, len(rows))
	for i, k := range s.spare.kept {
		keys[i] = float64(k.rank >> 11) // exact
	}
	_, rows, err := ranks.Rows(r, keys, rows, min(most, s.spare.size), s.w)
	return rows, err
}
