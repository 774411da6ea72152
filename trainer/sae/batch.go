package sae

import (
	"actfleet/trainer/parallel"
	"actfleet/trainer/ranks"
)

// batch is what a step sums over the rows of its batch, whatever the architecture.
type batch struct {
	n          int
	loss       float64   // Σ‖r‖²
	active     int64     // Σ active latents
	square     []float64 // [out] Σt²
	sumT, sumR []float64 // [out]
	toBias     []float64 // [out] Σr of everything that b_d adds to
	fired      []bool    // [M]
}

func newBatch(s Shape) batch {
	o := s.Outputs()
	return batch{square: make([]float64, o), sumT: make([]float64, o), sumR: make([]float64, o), toBias: make([]float64, o),
		fired: make([]bool, s.M)}
}

// reset empties the sums.
func (b *batch) reset() {
	for _, v := range [][]float64{b.square, b.sumT, b.sumR, b.toBias} {
		clear(v)
	}
	clear(b.fired)
	b.n, b.loss, b.active = 0, 0, 0
}

// sums adds them to what is summed over the ranks.
func (b *batch) sums(to *ranks.Bucket) {
	ranks.Number(to, &b.n)
	ranks.Number(to, &b.active)
	ranks.Number(to, &b.loss)
	for _, v := range [][]float64{b.square, b.sumT, b.sumR, b.toBias} {
		ranks.Numbers(to, v)
	}
	to.Flags(b.fired)
}

// add takes in n rows with the residuals r [n, out] of targets t, and their squared norms' sum.
func (b *batch) add(c *Codes, t, r []float32, loss float64) {
	b.n += c.N
	b.loss += loss
	for row := range c.N {
		idx, val := c.Row(row)
		for j, i := range idx {
			if val[j] > 0 {
				b.active++
				b.fired[i] = true
			}
		}
	}
	d := len(b.square)
	parallel.For(d, rowGrain, func(lo, hi int) { // columns, each summed by rising row
		for row := range c.N {
			at := row * d
			for j := lo; j < hi; j++ {
				t, r := float64(t[at+j]), float64(r[at+j])
				b.square[j] += t * t
				b.sumT[j] += t
				b.sumR[j] += r
			}
		}
	})
}

// fvu is the share of the targets' variance that is not explained.
func (b *batch) fvu() float64 {
	var square float64
	for _, x := range b.square {
		square += x
	}
	return b.loss / deviation(square, b.sumT, float64(b.n))
}

// residualVariance is E‖e−ē‖².
func (b *batch) residualVariance() float64 {
	n := float64(b.n)
	return deviation(b.loss, b.sumR, n) / n
}

// deviation is Σ‖v−v̄‖² from Σ‖v‖² and Σv.
func deviation(square float64, sum []float64, n float64) float64 {
	var m float64
	for _, v := range sum {
		m += v * v
	}
	return square - m/n
}

// work is memory used again by every micro-batch.
type work struct {
	z       []float32 // [n, d] what the encoder sees
	t       []float32 // [n, out] what is to be reconstructed; z itself where that is the same
	tOwn    []float32
	skipped []float32 // [n, out] W_skip z, nil without
	r, ra   []float32 // [n, out] residuals: of the loss, and of further terms
	codes   Codes
	dval    []float32 // ∂f of every entry
	order   byLatent  // of codes
	rowLoss []float64
}
