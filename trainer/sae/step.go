package sae

import (
	"errors"
	"fmt"
	"math"

	"actfleet/trainer/optim"
	"actfleet/trainer/parallel"
)

// Step ends the window: one optimizer step with the gradients of all its rows
// divided by their number. It returns the window's metrics.
func (l *Learner) Step(lr float64) (map[string]float64, error) {
	if err := l.chooseHeld(); err != nil {
		return nil, err
	}
	if err := l.gather(); err != nil {
		return nil, err
	}
	if l.win.n == 0 {
		return nil, errors.New("sae: a step without rows")
	}
	inv := 1 / float64(l.win.n)
	l.biasGradient()
	l.ungate()
	paid := l.payPenalty()
	l.project()
	norm := optim.Norm(l.params) * inv
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return nil, fmt.Errorf("sae: the gradient of %s: %w", optim.NonFinite(l.params), optim.ErrNonFinite)
	}
	l.opt.Step(lr, inv*optim.Clip(norm*l.consts[constVariance], l.cfg.Clip))
	l.unitRows()
	if l.ema != nil {
		l.ema.Add()
	}
	l.takeTheta()
	m := l.metrics(norm, paid*inv)
	l.endWindow()
	return m, nil
}

// biasGradient completes ∂b_d = Σ g − W_eᵀ ∂b_e.
func (l *Learner) biasGradient() {
	g := 2 / l.consts[constVariance]
	for j, r := range l.win.pull {
		l.grad.BDec[j] = float32(g * r)
	}
	for i, v := range l.grad.BEnc {
		if v != 0 && !l.plain {
			axpy(-v, l.WEnc[i*l.D:(i+1)*l.D], l.grad.BDec)
		}
	}
}

// project takes from every ∂d_i its part along d_i.
func (l *Learner) project() {
	if l.free() {
		return
	}
	l.eachDirection(func(d, g []float32) {
		axpy(-dot(d, g), d, g)
	})
}

// unitRows makes every d_i a unit vector.
func (l *Learner) unitRows() {
	if l.free() {
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

func (l *Learner) metrics(norm, paid float64) map[string]float64 {
	n, w := float64(l.win.n), &l.win
	m := map[string]float64{
		"loss": w.loss / (n * l.consts[constVariance]),
		"fvu":  w.loss / deviation(total(w.square), w.sumT, n),
		"l0":   float64(w.active) / n,
		"dead": float64(len(l.dead)),
		"grad": norm,
	}
	if a := l.consts[constAuxVar]; a > 0 && w.auxLoss > 0 && l.Arch.Revives() {
		m["aux"] = w.auxLoss / (n * a)
		m["loss"] += l.cfg.AuxCoef * m["aux"]
	}
	if l.Arch == Gated {
		m["gate"] = w.auxLoss / (n * l.consts[constVariance])
		m["loss"] += m["gate"]
	}
	if l.Arch == MultiTopK {
		m["loss"] += moreShare * w.moreLoss / (n * l.consts[constVariance])
	}
	if l.cfg.Penalty > 0 && !l.Arch.Revives() {
		m["penalty"] = paid
		m["loss"] += paid
	}
	if l.Arch == Matryoshka {
		m["loss"] += (w.nestedLoss - w.loss) / (n * l.consts[constVariance])
	}
	if l.Arch.OverBatch() {
		m["theta"] = l.consts[constTheta]
	}
	return m
}

func total(v []float64) (sum float64) {
	for _, x := range v {
		sum += x
	}
	return sum
}

// deviation is Σ‖v−v̄‖² from Σ‖v‖² and Σv.
func deviation(square float64, sum []float64, n float64) float64 {
	var m float64
	for _, v := range sum {
		m += v * v
	}
	return square - m/n
}
