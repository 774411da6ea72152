package sae

import (
	"slices"

	"actfleet/internal/torch"
	"actfleet/trainer/parallel"
)

// residuals computes r = ẑ − t and returns Σ‖r‖².
func (l *Learner) residuals(n int) float64 { return l.residualsOf(&l.work.codes, l.work.r, n) }

// residualsOf does so through some codes.
func (l *Learner) residualsOf(c *Codes, out []float32, n int) float64 {
	w := &l.work
	return l.perRow(n, func(b, lo, hi int) float64 {
		r := out[lo:hi]
		for j, v := range w.t[lo:hi] {
			r[j] = -v
		}
		if w.skipped != nil {
			axpy(1, w.skipped[lo:hi], r)
		}
		c.addDecoded(r, l.WDec, b)
		return squareNorm(r)
	})
}

// auxResiduals computes ra = ê − e = ê + r and returns Σ‖ra‖².
func (l *Learner) auxResiduals(n int) float64 {
	w := &l.work
	return l.perRow(n, func(b, lo, hi int) float64 {
		copy(w.ra[lo:hi], w.r[lo:hi])
		w.aux.addDecoded(w.ra[lo:hi], l.WDec, b)
		return squareNorm(w.ra[lo:hi])
	})
}

// perRow sums f over rows in a fixed order; lo and hi bound the row's residual.
func (l *Learner) perRow(n int, f func(b, lo, hi int) float64) (sum float64) {
	out, d := l.work.rowLoss[:n], l.Outputs()
	parallel.For(n, rowGrain, func(from, to int) {
		for b := from; b < to; b++ {
			out[b] = f(b, b*d, (b+1)*d)
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
				win.count[i]++
				win.sumF[i] += float64(val[j])
			}
		}
	}
	d := l.Outputs()
	parallel.For(d, rowGrain, func(lo, hi int) { // columns, each summed by rising row
		for b := range n {
			at := b * d
			for j := lo; j < hi; j++ {
				t, r := float64(w.t[at+j]), float64(w.r[at+j])
				win.square[j] += t * t
				win.sumT[j] += t
				win.sumR[j] += r
			}
		}
	})
}

// felt adds the gradients of b_d and W_skip, through which residuals count with a share.
func (l *Learner) felt(r []float32, n int, share float64) error {
	addColumns(l.win.pull, r, n, share)
	if l.WSkip == nil {
		return nil
	}
	return torch.Do(func(s *torch.Scope) error {
		a := torch.WrapFloat32(s, r[:n*l.Outputs()], int64(n), int64(l.Outputs()))
		z := torch.WrapFloat32(s, l.work.z[:n*l.D], int64(n), int64(l.D))
		g := s.Contiguous(s.MatMul(s.Transpose(a, 0, 1), z)).Float32s() // Σ r zᵀ
		axpy(float32(2*share/l.consts[constVariance]), g, l.grad.WSkip)
		return nil
	})
}

// addColumns adds share times the sums over n rows to sum, each column by rising row.
func addColumns(sum []float64, rows []float32, n int, share float64) {
	d := len(sum)
	parallel.For(d, rowGrain, func(lo, hi int) {
		for b := range n {
			for j := lo; j < hi; j++ {
				sum[j] += share * float64(rows[b*d+j])
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
	w, d := &l.work, l.Outputs()
	w.dval = grow(w.dval, len(c.Val))
	parallel.For(c.N, rowGrain, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			idx, _ := c.row(b)
			torch.Dots(w.dval[c.at(b):], r[b*d:(b+1)*d], l.WDec, idx, g)
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

// entriesAtOnce is how many rows one call adds up.
const entriesAtOnce = 128

// latentGradient sums the gradients of latent i over the rows where it is active.
func (l *Learner) latentGradient(i int, c *Codes, r []float32, g float32) {
	w, d, o := &l.work, l.D, l.Outputs()
	dDec, dEnc := l.grad.WDec[i*o:(i+1)*o], l.grad.WEnc[i*d:(i+1)*d]
	var rows [entriesAtOnce]int32
	var toDec, toEnc [entriesAtOnce]float32
	for all := range slices.Chunk(w.order.entries[w.order.start[i]:w.order.start[i+1]], entriesAtOnce) {
		for k, e := range all {
			rows[k], toDec[k], toEnc[k] = int32(c.rowAt(e)), g*c.Val[e], w.dval[e]
			l.grad.BEnc[i] += w.dval[e]
		}
		n := len(all)
		torch.Combine(dDec, r, rows[:n], toDec[:n])
		torch.Combine(dEnc, w.z, rows[:n], toEnc[:n])
	}
}
