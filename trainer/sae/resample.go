package sae

import (
	"container/heap"
	"math"
	"math/rand/v2"

	"actfleet/trainer/ranks"
)

// reservoir draws rows of a batch without replacement, with chances proportional to their squared
// loss, whatever the micro-batches are: every row has a random key from its number alone, and the
// greatest keys stay (Efraimidis and Spirakis 2006). Dead latents begin anew from the rows drawn.
type reservoir struct {
	size, seen int
	seed       [2]uint64
	rows       []drawn // a heap, the least key first
}

type drawn struct {
	key  float64
	z, t []float32
}

// newReservoir is one for the batch that begins, nil when no latents are resampled after it. That is so every Resample
// steps in the first half of the training (Bricken et al. 2023, "Towards Monosemanticity", appendix).
func newReservoir(l *Learner) *reservoir {
	every, step := l.cfg.Resample, l.steps()+1
	if every == 0 || step%every != 0 || 2*step > l.cfg.Steps || len(l.dead) == 0 {
		return nil
	}
	return &reservoir{size: len(l.dead), seen: l.from, seed: [2]uint64{l.cfg.Seed ^ 0xdead, uint64(l.steps()) << 32}}
}

// Len, Less, Swap, Push and Pop make the rows a heap.
func (r *reservoir) Len() int           { return len(r.rows) }
func (r *reservoir) Less(i, j int) bool { return r.rows[i].key < r.rows[j].key }
func (r *reservoir) Swap(i, j int)      { r.rows[i], r.rows[j] = r.rows[j], r.rows[i] }
func (r *reservoir) Push(x any)         { r.rows = append(r.rows, x.(drawn)) }
func (r *reservoir) Pop() any {
	last := r.rows[len(r.rows)-1]
	r.rows = r.rows[:len(r.rows)-1]
	return last
}

// offer shows the next n rows of the batch, which are in the learner's work.
func (r *reservoir) offer(l *Learner, n int) {
	w, d := &l.work, l.Outputs()
	for b := range n {
		u := float64(rand.New(rand.NewPCG(r.seed[0], r.seed[1]+uint64(r.seen))).Uint64()>>11+1) / (1 << 53)
		r.seen++
		loss := w.rowLoss[b]
		key := math.Log(u) / max(loss*loss, 1e-300)
		if len(r.rows) == r.size && key <= r.rows[0].key {
			continue
		}
		if len(r.rows) == r.size {
			heap.Pop(r)
		}
		heap.Push(r, drawn{key, append([]float32(nil), w.z[b*l.D:(b+1)*l.D]...), append([]float32(nil), w.t[b*d:(b+1)*d]...)})
	}
}

// allReduce makes the rows drawn those of all ranks.
func (r *reservoir) allReduce(l *Learner) error {
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

// resampledLength is the share of the other latents' mean length that a resampled encoder row begins with.
const resampledLength = 0.2

// resample lets the dead latents begin anew from the rows drawn.
func (r *reservoir) resample(l *Learner) {
	length := resampledLength * aliveLength(l)
	for len(r.rows) > 0 && len(l.dead) > 0 {
		row, i := heap.Pop(r).(drawn), int(l.dead[0])
		l.dead = l.dead[1:]
		row.restart(l, i, length)
	}
}

// aliveLength is the mean length of the encoder rows of latents that are not dead.
func aliveLength(l *Learner) float64 {
	var sum, n float64
	dead := l.dead
	for i := range l.M {
		if len(dead) > 0 && int(dead[0]) == i {
			dead = dead[1:]
			continue
		}
		sum, n = sum+math.Sqrt(squareNorm(l.WEnc[i*l.D:(i+1)*l.D])), n+1
	}
	return sum / max(n, 1)
}

// restart gives latent i the direction of the row and forgets what was known of the latent.
func (d drawn) restart(l *Learner, i int, length float64) {
	dec, enc := l.WDec[i*l.Outputs():(i+1)*l.Outputs()], l.WEnc[i*l.D:(i+1)*l.D]
	copy(dec, d.t)
	copy(enc, d.t)
	if l.Out > 0 {
		copy(enc, d.z)
	}
	unit := 1.0
	if l.arch.free {
		unit = freeLength
	}
	setLengths(dec, len(dec), unit)
	setLengths(enc, len(enc), length)
	l.BEnc[i], l.since[i] = 0, 0
	l.variant.reset(i)
	for _, p := range l.params {
		if p.Shape[0] == l.M {
			l.opt.Forget(p.Name, i)
		}
	}
}
