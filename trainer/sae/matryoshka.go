package sae

import (
	"math"
	"math/rand/v2"
	"slices"
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

// sampledPrefixes are up to groups different lengths, the last m and the others drawn for a step from
// Pareto's distribution of exponent ½ between 1 and m.
func sampledPrefixes(m, groups int, seed uint64, step int) []int {
	r := rand.New(rand.NewPCG(seed^0x3a7e, uint64(step)))
	out := []int{m}
	for range max(groups, 1) - 1 {
		u := float64(r.Uint64()>>11) / (1 << 53)
		low := 1 / math.Sqrt(float64(m)) // P(x > v) is proportional to v^−½
		x := 1 / math.Pow(1-u*(1-low), 2)
		out = append(out, min(max(int(x), 1), m))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// nest computes, for every prefix q, the mean over all prefixes of the residuals r_j of those with
// j ≥ q, which is what reaches the latents that q is the first to hold. It returns the mean of Σ‖r_j‖².
func (l *Learner) nest(n int) float64 {
	w, last, d := &l.work, len(l.prefixes)-1, l.Outputs()
	for len(w.nested) <= last {
		w.nested = append(w.nested, nil)
	}
	for j := range l.prefixes {
		w.nested[j] = grow(w.nested[j], n*d)
	}
	share := float32(1) / float32(last+1)
	sum := l.perRow(n, func(b, lo, hi int) (sum float64) {
		r := make([]float32, d)
		axpy(-1, w.t[lo:hi], r)
		if w.skipped != nil {
			axpy(1, w.skipped[lo:hi], r)
		}
		idx, val := w.codes.row(b)
		at := 0
		for j, m := range l.prefixes {
			for ; at < len(idx) && int(idx[at]) < m; at++ {
				i := int(idx[at])
				axpy(val[at], l.WDec[i*d:(i+1)*d], r)
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
	w, c, d, g := &l.work, &l.work.codes, l.Outputs(), float32(2/l.consts[constVariance])
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
}
