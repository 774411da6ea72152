package sae

import (
	"container/heap"
	"math"
	"math/rand/v2"
)

// resamples tells whether dead latents begin anew after this step: every Resample steps in the first
// half of the training (Bricken et al. 2023, "Towards Monosemanticity", appendix).
func (l *Learner) resamples() bool {
	every, step := l.cfg.Resample, l.steps()+1
	return every > 0 && step%every == 0 && 2*step <= l.cfg.Steps && len(l.dead) > 0
}

// reservoir draws rows of a window without replacement, with chances proportional to their squared
// loss, whatever the micro-batches are: every row has a random key from its number alone, and the
// greatest keys stay (Efraimidis and Spirakis 2006).
type reservoir struct {
	size, seen int
	seed       [2]uint64
	rows       []drawn // a heap, the least key first
}

type drawn struct {
	key  float64
	z, t []float32
}

func (r *reservoir) Len() int           { return len(r.rows) }
func (r *reservoir) Less(i, j int) bool { return r.rows[i].key < r.rows[j].key }
func (r *reservoir) Swap(i, j int)      { r.rows[i], r.rows[j] = r.rows[j], r.rows[i] }
func (r *reservoir) Push(x any)         { r.rows = append(r.rows, x.(drawn)) }
func (r *reservoir) Pop() any {
	last := r.rows[len(r.rows)-1]
	r.rows = r.rows[:len(r.rows)-1]
	return last
}

// newReservoir begins with the row at place from of the window.
func newReservoir(size, from int, seed uint64, step int) *reservoir {
	return &reservoir{size: size, seen: from, seed: [2]uint64{seed ^ 0xdead, uint64(step) << 32}}
}

// offer shows n rows with their losses, which are in rowLoss.
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

// enough is the share of the other latents' mean length that a resampled encoder row begins with.
const enough = 0.2

// resample lets the dead latents begin anew from the rows drawn.
func (l *Learner) resample() {
	if l.reborn == nil {
		return
	}
	length := enough * l.aliveLength()
	for len(l.reborn.rows) > 0 && len(l.dead) > 0 {
		row, i := heap.Pop(l.reborn).(drawn), int(l.dead[0])
		l.dead = l.dead[1:]
		l.rebirth(i, row, length)
	}
}

// aliveLength is the mean length of the encoder rows of latents that are not dead.
func (l *Learner) aliveLength() float64 {
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

// rebirth gives latent i the direction of a row and forgets what was known of it.
func (l *Learner) rebirth(i int, row drawn, length float64) {
	dec, enc := l.WDec[i*l.Outputs():(i+1)*l.Outputs()], l.WEnc[i*l.D:(i+1)*l.D]
	copy(dec, row.t)
	copy(enc, row.t)
	if l.Out > 0 {
		copy(enc, row.z)
	}
	unit := 1.0
	if l.free() {
		unit = freeLength
	}
	setLengths(dec, len(dec), unit)
	setLengths(enc, len(enc), length)
	l.BEnc[i], l.since[i] = 0, 0
	if l.logTheta != nil {
		l.logTheta[i] = float32(math.Log(l.cfg.Theta))
	}
	if l.RMag != nil {
		l.RMag[i], l.BMag[i] = 0, 0
	}
	for _, p := range l.params {
		if p.Shape[0] == l.M {
			l.opt.Forget(p.Name, i)
		}
	}
}
