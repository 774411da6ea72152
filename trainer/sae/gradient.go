package sae

import (
	"fmt"
	"math"
	"slices"

	"actfleet/internal/torch"
	"actfleet/trainer/optim"
	"actfleet/trainer/parallel"
)

// compute adds the gradients of n rows x [n, Row] to the batch.
func (l *Learner) compute(x []float32, n int) error {
	if err := l.load(x, n); err != nil {
		return err
	}
	if err := l.encode(l.work.z, n, &l.work.codes, func(pre []float32) { l.variant.choose(pre, n) }); err != nil {
		return err
	}
	return l.learn(n)
}

// load brings n rows to the model's units: z, and t where it is another.
func (l *Learner) load(x []float32, n int) (err error) {
	w, o := &l.work, l.Outputs()
	w.z, w.r, w.ra, w.rowLoss = grow(w.z, n*l.D), grow(w.r, n*o), grow(w.ra, n*o), grow(w.rowLoss, n)
	l.centre(w.z, x, n)
	w.t = w.z
	if l.plain {
		w.tOwn = grow(w.tOwn, n*o)
		w.t = w.tOwn
		l.target(w.t, x, n)
	}
	w.skipped, err = l.skip(w.z, n)
	return err
}

// learn adds the gradients and sums of n rows that are loaded, through the codes chosen for them.
func (l *Learner) learn(n int) error {
	w := &l.work
	loss := l.residuals(&w.codes, w.r, n)
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("sae: the reconstruction: %w", optim.ErrNonFinite)
	}
	if l.drawn != nil {
		l.drawn.offer(l, n)
	}
	l.batch.add(&w.codes, w.t, w.r, loss)
	return l.variant.backward(n)
}

// residuals computes r = ẑ − t through codes and returns Σ‖r‖².
func (l *Learner) residuals(c *Codes, out []float32, n int) float64 {
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

// backwardMain adds the gradients of Σ‖r‖²/V of n rows through the chosen codes. terms, if any, adds those of further
// terms of the loss to ∂f, before they reach the weights.
func (l *Learner) backwardMain(n int, terms func()) error {
	l.backward(&l.work.codes, l.work.r, 2/l.consts[constVariance], terms)
	return l.addBiasGrad(l.work.r, n, 1)
}

// backward adds the gradients through the codes c for the residuals r, where the loss is coef/2 · Σ‖r‖², but for those
// of b_d and W_skip.
func (l *Learner) backward(c *Codes, r []float32, coef float64, terms func()) {
	g, w := float32(coef), &l.work
	l.toValues(c, r, g)
	w.order.sort(c, l.M)
	if terms != nil {
		terms()
	}
	w.order.each(func(i int, _ []int32) { l.latentGradient(i, c, r, g) })
}

// toValues computes ∂f of every entry of c.
func (l *Learner) toValues(c *Codes, r []float32, g float32) {
	w, d := &l.work, l.Outputs()
	w.dval = grow(w.dval, len(c.Val))
	parallel.For(c.N, rowGrain, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			idx, _ := c.Row(b)
			torch.Dots(w.dval[c.at(b):], r[b*d:(b+1)*d], l.WDec, idx, g)
		}
	})
}

// entriesAtOnce is how many rows one call adds up.
const entriesAtOnce = 128

// latentGradient adds the gradients of latent i, summed over the rows where it is active, from ∂f.
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

// addBiasGrad adds share times the gradients of b_d and W_skip for the residuals r of n rows; those of b_d are
// completed once the batch is.
func (l *Learner) addBiasGrad(r []float32, n int, share float64) error {
	addColumns(l.batch.toBias, r, n, share)
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

// lambda is λ/V of the step that is being prepared.
func (l *Learner) lambda() float64 {
	f := l.cfg.Penalty * l.control.factor() / l.consts[constVariance]
	if t := l.steps(); t < l.cfg.Warmup {
		f *= float64(t+1) / float64(l.cfg.Warmup)
	}
	return f
}

// finishGradients adds what needs the whole batch: ∂b_d = Σ g − W_eᵀ ∂b_e, and the variant's; and it takes from every
// ∂d_i its part along d_i.
func (l *Learner) finishGradients() {
	l.biasGradient()
	l.variant.finish()
	if !l.arch.free {
		l.eachDirection(func(d, g []float32) { axpy(-dot(d, g), d, g) })
	}
}

// biasGradient completes ∂b_d = Σ g − W_eᵀ ∂b_e.
func (l *Learner) biasGradient() {
	g := 2 / l.consts[constVariance]
	for j, r := range l.batch.toBias {
		l.grad.BDec[j] = float32(g * r)
	}
	for i, v := range l.grad.BEnc {
		if v != 0 && !l.plain {
			axpy(-v, l.WEnc[i*l.D:(i+1)*l.D], l.grad.BDec)
		}
	}
}

// unitRows makes every d_i a unit vector.
func (l *Learner) unitRows() {
	if l.arch.free {
		return
	}
	l.eachDirection(func(d, _ []float32) {
		n := math.Sqrt(squareNorm(d))
		inv := float32(1 / max(n, 1e-12))
		for j := range d {
			d[j] *= inv
		}
	})
}

func (l *Learner) eachDirection(f func(d, g []float32)) {
	o := l.Outputs()
	parallel.For(l.M, rowGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			f(l.WDec[i*o:(i+1)*o], l.grad.WDec[i*o:(i+1)*o])
		}
	})
}
