package sae

import (
	"container/heap"

	"actfleet/trainer/ranks"
)

// Join makes the learner one of several, each with the same weights, which add up their windows at the end of every
// step. The rows it is given are those of a window from place from on. It comes before Init and Restored.
func (l *Learner) Join(r ranks.Ranks, from int) { l.ranks, l.from = r, from }

// gather makes the gradients and the window those of all ranks.
func (l *Learner) gather() error {
	if !ranks.Many(l.ranks) {
		return nil
	}
	var b ranks.Bucket
	for _, p := range l.params {
		b.Floats(p.Grad)
	}
	w := &l.win
	ranks.Number(&b, &w.n)
	ranks.Number(&b, &w.active)
	ranks.Number(&b, &w.loss, &w.auxLoss, &w.moreLoss, &w.nestedLoss, &w.paid, &w.next)
	for _, v := range [][]float64{w.square, w.sumT, w.sumR, w.sumZ, w.pull, w.count, w.sumF, w.toLength} {
		ranks.Numbers(&b, v)
	}
	b.Flags(w.fired)
	if err := b.Sum(l.ranks); err != nil {
		return err
	}
	return l.gatherDrawn()
}

// gatherDrawn makes the rows drawn for latents that begin anew those of all ranks.
func (l *Learner) gatherDrawn() error {
	r := l.reborn
	if r == nil {
		return nil
	}
	var keys []float64
	var rows [][]float32
	for _, d := range r.rows {
		keys = append(keys, -d.key) // the greatest keys stay
		rows = append(rows, append(append([]float32(nil), d.z...), d.t...))
	}
	keys, rows, err := ranks.Rows(l.ranks, keys, rows, r.size, l.D+l.Outputs())
	if err != nil {
		return err
	}
	r.rows = r.rows[:0]
	for i, row := range rows {
		heap.Push(r, drawn{-keys[i], row[:l.D], row[l.D:]})
	}
	return nil
}
