package sae

import (
	"math"
	"slices"

	"actfleet/trainer/parallel"
)

// chooseGated keeps the latents whose gate is open: Val is f, which may be 0, and work.gate the
// gate's own value.
func (l *Learner) chooseGated(pre []float32, n int) {
	w := &l.work
	w.codes.above(pre, n, l.M, nil)
	w.gate = append(w.gate[:0], w.codes.Val...)
	for e, i := range w.codes.Idx {
		w.codes.Val[e] = max(l.magnitude(int(i), w.gate[e]), 0)
	}
}

// gateResiduals computes ra = Σ π_i d_i − t and returns Σ‖ra‖².
func (l *Learner) gateResiduals(n int) float64 {
	gates := l.work.codes
	gates.Val = l.work.gate
	return l.residualsOf(&gates, l.work.ra, n)
}

// toGates turns ∂f into the gradients of r, b_m and W_e z of every entry. The loss of the gates
// reaches neither d nor b_d through the decoder.
func (l *Learner) toGates(n int) {
	w, g := &l.work, float32(2/l.consts[constVariance])
	l.win.auxLoss += l.gateResiduals(n)
	toMag := slices.Clone(w.dval)
	l.toValues(&w.codes, w.ra, g) // ∂π
	pay := l.lambda()
	l.win.paid += l.pay(w.gate, pay)
	l.eachEntry(func(i int, entries []int32) {
		factor := math.Exp(float64(l.RMag[i]))
		for _, e := range entries {
			if w.codes.Val[e] <= 0 {
				continue
			}
			m := float64(toMag[e])
			l.grad.RMag[i] += float32(m * factor * float64(w.gate[e]-l.BEnc[i]))
			l.grad.BMag[i] += float32(m)
			w.dval[e] += float32(m * factor)
		}
	})
}

// ungate takes from ∂b_g what came through the magnitudes, which see W_e z without b_g. What b_d
// feels through the encoder has been taken from it before.
func (l *Learner) ungate() {
	if l.Arch != Gated {
		return
	}
	parallel.For(l.M, rowGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			l.grad.BEnc[i] -= float32(math.Exp(float64(l.RMag[i]))) * l.grad.BMag[i]
		}
	})
}
