package sae

import "actfleet/trainer/parallel"

// residuals computes r = ẑ − z and returns Σ‖r‖².
func (l *Learner) residuals(n int) float64 {
	w := &l.work
	return l.perRow(n, func(b int, lo, hi int) float64 {
		r := w.r[lo:hi]
		for j, v := range w.z[lo:hi] {
			r[j] = -v
		}
		if l.plain {
			axpy(1, l.BDec, r)
		}
		w.codes.addDecoded(r, l.WDec, b)
		return squareNorm(r)
	})
}

// auxResiduals computes ra = ê − e = ê + r and returns Σ‖ra‖².
func (l *Learner) auxResiduals(n int) float64 {
	w := &l.work
	return l.perRow(n, func(b int, lo, hi int) float64 {
		copy(w.ra[lo:hi], w.r[lo:hi])
		w.aux.addDecoded(w.ra[lo:hi], l.WDec, b)
		return squareNorm(w.ra[lo:hi])
	})
}

// perRow sums f over rows in a fixed order; lo and hi bound the row's values.
func (l *Learner) perRow(n int, f func(b, lo, hi int) float64) (sum float64) {
	out := l.work.rowLoss[:n]
	parallel.For(n, rowGrain, func(from, to int) {
		for b := from; b < to; b++ {
			out[b] = f(b, b*l.D, (b+1)*l.D)
		}
	})
	for _, v := range out {
		sum += v
	}
	return sum
}

func squareNorm(v []float32) (sum float64) {
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return sum
}

// collect adds the statistics of a micro-batch to the window.
func (l *Learner) collect(n int, loss float64) {
	w, win := &l.work, &l.win
	win.n += n
	win.loss += loss
	for b := range n {
		idx, val := w.codes.row(b)
		for j, i := range idx {
			if val[j] > 0 {
				win.active++
				win.fired[i] = true
				win.sumF[i] += float64(val[j])
			}
		}
	}
	parallel.For(l.D, rowGrain, func(lo, hi int) { // columns, each summed by rising row
		for b := range n {
			at := b * l.D
			for j := lo; j < hi; j++ {
				z, r := float64(w.z[at+j]), float64(w.r[at+j])
				win.square[j] += z * z
				win.sumZ[j] += z
				win.sumR[j] += r
			}
		}
	})
}

// backward adds the gradients through the codes c for the residuals r, where the
// loss is coef/2 · Σ‖r‖².
func (l *Learner) backward(c *Codes, r []float32, coef float64) {
	l.toValues(c, r, float32(coef))
	l.work.order.sort(c, l.M)
	l.toWeights(c, r, float32(coef))
}

// toValues computes ∂f of every entry of c.
func (l *Learner) toValues(c *Codes, r []float32, g float32) {
	w, d := &l.work, l.D
	w.dval = grow(w.dval, len(c.Val))
	parallel.For(c.N, rowGrain, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			idx, _ := c.row(b)
			for j, i := range idx {
				w.dval[c.at(b)+j] = g * dot(r[b*d:(b+1)*d], l.WDec[int(i)*d:(int(i)+1)*d])
			}
		}
	})
}

// toWeights adds the gradients of the weights from ∂f, by latent.
func (l *Learner) toWeights(c *Codes, r []float32, g float32) {
	parallel.For(l.M, rowGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			l.latentGradient(i, c, r, g)
		}
	})
}

// latentGradient sums the gradients of latent i over the rows where it is active.
func (l *Learner) latentGradient(i int, c *Codes, r []float32, g float32) {
	w, d := &l.work, l.D
	dDec, dEnc := l.grad.WDec[i*d:(i+1)*d], l.grad.WEnc[i*d:(i+1)*d]
	for _, e := range w.order.entries[w.order.start[i]:w.order.start[i+1]] {
		b := c.rowAt(e)
		axpy(g*c.Val[e], r[b*d:(b+1)*d], dDec)
		axpy(w.dval[e], w.z[b*d:(b+1)*d], dEnc)
		l.grad.BEnc[i] += w.dval[e]
	}
}
