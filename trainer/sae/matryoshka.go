package sae

import (
	"slices"

	"actfleet/trainer/parallel"
)

// prefixes are M_1 < … < M_g = m, each twice the one before, as far as m can be halved.
func prefixes(m, groups int) (out []int) {
	for j := max(groups, 1) - 1; j >= 0; j-- {
		if p := m >> min(j, 62); p > 0 {
			out = append(out, p)
		}
	}
	return out
}

// nest computes, for every prefix q, the mean over all prefixes of the residuals r_j of those with
// j ≥ q, which is what reaches the latents that q is the first to hold. It returns the mean of Σ‖r_j‖².
func (l *Learner) nest(n int) float64 {
	w, last := &l.work, len(l.prefixes)-1
	w.nested = grow(w.nested, last+1)
	for j := range w.nested {
		w.nested[j] = grow(w.nested[j], n*l.D)
	}
	share := float32(1) / float32(last+1)
	sum := l.perRow(n, func(b, lo, hi int) (sum float64) {
		r := make([]float32, l.D)
		axpy(-1, w.z[lo:hi], r)
		idx, val := w.codes.row(b)
		at := 0
		for j, m := range l.prefixes {
			for ; at < len(idx) && int(idx[at]) < m; at++ {
				i := int(idx[at])
				axpy(val[at], l.WDec[i*l.D:(i+1)*l.D], r)
			}
			sum += squareNorm(r)
			clear(w.nested[j][lo:hi])
			axpy(share, r, w.nested[j][lo:hi])
		}
		for j := last - 1; j >= 0; j-- {
			axpy(1, w.nested[j+1][lo:hi], w.nested[j][lo:hi])
		}
		return sum
	})
	return sum * float64(share)
}

// backwardNested adds the gradients through the chosen codes of n rows, where every latent sees the
// residuals of the prefixes that hold it.
func (l *Learner) backwardNested(n int) {
	l.win.nestedLoss += l.nest(n)
	w, c, d, g := &l.work, &l.work.codes, l.D, float32(2/l.consts[constVariance])
	w.dval = grow(w.dval, len(c.Val))
	w.order.sort(c, l.M)
	l.eachEntry(func(i int, entries []int32) {
		q, _ := slices.BinarySearch(l.prefixes, i+1)
		r := w.nested[q]
		for _, e := range entries {
			b := c.rowAt(e)
			w.dval[e] = g * dot(r[b*d:(b+1)*d], l.WDec[i*d:(i+1)*d])
		}
		l.latentGradient(i, c, r, g)
	})
	parallel.For(d, rowGrain, func(lo, hi int) { // columns, each summed by rising row
		for b := range n {
			for j := lo; j < hi; j++ {
				l.win.sumNested[j] += float64(w.nested[0][b*d+j])
			}
		}
	})
}
