package sae

import (
	"math"
	"math/rand/v2"
)

// beginDirections fills W_d with unit rows, uniform on the sphere, towards sample rows by the share
// DataInit, and W_e with the same, of a transcoder with its own.
func (l *Learner) beginDirections(sample []float32, n int) {
	r := rand.New(rand.NewPCG(l.cfg.Seed, 0x5ae))
	randomRows(r, l.WDec, l.Outputs())
	if l.Out > 0 {
		randomRows(r, l.WEnc, l.D)
	}
	if l.cfg.DataInit > 0 {
		l.towardsData(r, sample, n)
	}
	if l.Out == 0 {
		copy(l.WEnc, l.WDec)
	}
	setLengths(l.WEnc, l.D, encoderLength)
	if l.free() {
		setLengths(l.WDec, l.Outputs(), freeLength)
		setLengths(l.WEnc, l.D, freeLength)
	}
}

// encoderLength is what rows of W_e begin with. With rows as long as the directions, many correlated latents together
// overshoot what they reconstruct: trainings of 500 and 1000 steps ended with a tenth more error. 1/√3, where torch's
// Linear and sparsify begin, and 0.1 find planted directions later or lose a little at the end (docs/training.md).
const encoderLength = 0.3

// randomRows fills w with unit rows of d values.
func randomRows(r *rand.Rand, w []float32, d int) {
	for i := range w {
		w[i] = float32(normal(r))
	}
	setLengths(w, d, 1)
}

// towardsData mixes the direction of a random sample row, less b_d, into every direction
// (Anthropic's update of October 2025).
func (l *Learner) towardsData(r *rand.Rand, sample []float32, n int) {
	p, d := float32(l.cfg.DataInit), l.Outputs()
	z, t := make([]float32, l.D), make([]float32, d)
	for i := range l.M {
		at := r.IntN(n) * l.Row()
		l.aim(t, sample[at:at+l.Row()], 1)
		mix(l.WDec[i*d:(i+1)*d], t, p)
		if l.Out > 0 {
			l.centre(z, sample[at:at+l.Row()], 1)
			mix(l.WEnc[i*l.D:(i+1)*l.D], z, p)
		}
	}
}

// mix makes w the direction of p·v/‖v‖ + (1−p)·w, where w is a unit vector.
func mix(w, v []float32, p float32) {
	setLengths(v, len(v), 1)
	for j := range w {
		w[j] = p*v[j] + (1-p)*w[j]
	}
	setLengths(w, len(w), 1)
}

// freeLength is the length that directions of any length begin with.
const freeLength = 0.1

// setLengths brings rows of d values to a length.
func setLengths(w []float32, d int, length float64) {
	for i := 0; i < len(w); i += d {
		f := float32(length / max(math.Sqrt(squareNorm(w[i:i+d])), 1e-12))
		for j := range d {
			w[i+j] *= f
		}
	}
}
