package sae

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Init sets the scales, the biases, the directions and V from n sample rows.
func (l *Learner) Init(sample []float32, n int) error {
	if n < 2 || len(sample) < n*l.Row() {
		return fmt.Errorf("sae: %d sample rows are too few to begin with", n)
	}
	in, out := columns(sample, n, l.Row(), 0, l.D), columns(sample, n, l.Row(), l.Row()-l.Outputs(), l.Outputs())
	for _, x := range [][]float32{in, out} {
		if !differ(x, n) {
			return fmt.Errorf("sae: the %d rows looked at are all the same, or not finite: an autoencoder needs finite rows that differ", n)
		}
	}
	from, to := l.middle(in, n), l.middle(out, n)
	if err := l.initScales(in, out, from, to); err != nil {
		return err
	}
	for j := range l.BDec {
		l.BDec[j] = l.scale * l.gain(j) * float32(to[j])
	}
	l.consts[constVariance] = l.variance(out, n)
	l.initDirections(sample[:n*l.Row()], n)
	clear(l.BEnc)
	for i := range l.M {
		l.variant.reset(i)
	}
	l.variant.sync()
	if l.plain && !l.arch.free {
		l.centrePlain(from)
	}
	return l.ready()
}

// middle is the geometric median of rows, or 0 where directions are free.
func (l *Learner) middle(x []float32, n int) []float64 {
	if l.arch.free {
		return make([]float64, len(x)/n)
	}
	return GeometricMedian(x, n)
}

// gain is the factor of s in column j of what is reconstructed.
func (l *Learner) gain(j int) float32 {
	if l.gainOut == nil {
		return 1
	}
	return l.gainOut[j]
}

// variance is V: the mean of ‖t−t̄‖².
func (l *Learner) variance(out []float32, n int) (v float64) {
	mean, d := columnMeans(out, n), l.Outputs()
	square := make([]float64, d)
	for i, x := range out {
		c := float64(x) - mean[i%d]
		square[i%d] += c * c
	}
	for j, q := range square {
		g := float64(l.scale) * float64(l.gain(j))
		v += g * g * q
	}
	return v / float64(n)
}

// centrePlain starts an encoder that sees s·x with the pre-activations it would have for s·x less the middle.
func (l *Learner) centrePlain(from []float64) {
	for i := range l.BEnc {
		var sum float64
		for j, w := range l.WEnc[i*l.D : (i+1)*l.D] {
			g := float64(l.scale)
			if l.gainIn != nil {
				g *= float64(l.gainIn[j])
			}
			sum += float64(w) * g * from[j]
		}
		l.BEnc[i] = float32(-sum)
	}
}

// makeGains makes room for factors where columns have other scales than the first vector's.
func (l *Learner) makeGains() {
	if l.Out == 0 && l.Parts == nil && l.cfg.Importance == nil {
		return
	}
	l.gainOut = filled(l.Outputs())
	l.gainIn = l.gainOut // an autoencoder's rows are both
	if l.Out > 0 {
		l.gainIn = filled(l.D)
	}
}

func filled(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

// initScales sets s and the gains so that every vector has mean square 1 about its middle.
// Importance counts as a factor √w of a column, which makes the loss Σ w_j r_j².
func (l *Learner) initScales(in, out []float32, from, to []float64) error {
	if l.gainOut == nil {
		spread, err := l.spread(in, from, nil, 0, l.D)
		l.setScale(spread, l.D)
		return err
	}
	first, at := 0.0, 0
	if l.Out > 0 {
		spread, err := l.spread(in, from, nil, 0, l.D)
		if err != nil {
			return err
		}
		l.setScale(spread, l.D)
		first = float64(l.scale)
	}
	for _, p := range l.parts() {
		spread, err := l.spread(out, to, l.cfg.Importance, at, p)
		if err != nil {
			return err
		}
		if first == 0 {
			l.setScale(spread, p)
			first = float64(l.scale)
		}
		for j := at; j < at+p; j++ {
			l.gainOut[j] = float32(l.toUnit(spread, p) / first * math.Sqrt(weight(l.cfg.Importance, j)))
		}
		at += p
	}
	return nil
}

func weight(w []float32, j int) float64 {
	if w == nil {
		return 1
	}
	return float64(w[j])
}

func (l *Learner) setScale(spread float64, d int) {
	l.scale = float32(l.toUnit(spread, d))
	l.consts[constScale] = float64(l.scale)
}

// toUnit is the factor that gives vectors of d values and this spread the mean square 1.
func (l *Learner) toUnit(spread float64, d int) float64 {
	if !l.cfg.Scale {
		return 1
	}
	return math.Sqrt(float64(d) / spread)
}

// spread is the mean of Σ w_j (x_j − m_j)² over d columns of rows from column at on.
func (l *Learner) spread(x []float32, m []float64, w []float32, at, d int) (float64, error) {
	var sum float64
	for i := 0; i < len(x); i += len(m) {
		for j := at; j < at+d; j++ {
			c := float64(x[i+j]) - m[j]
			sum += weight(w, j) * c * c
		}
	}
	sum /= float64(len(x) / len(m))
	if !(sum > 0) || math.IsInf(sum, 0) {
		return 0, fmt.Errorf("sae: the sample's vectors (columns %d to %d of a row) have a spread of %v", at, at+d, sum)
	}
	return sum, nil
}

// initDirections fills W_d with unit rows, uniform on the sphere and mixed with sample rows by the share DataInit, and
// W_e with the same; a transcoder's W_e has rows of its own.
func (l *Learner) initDirections(sample []float32, n int) {
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
	if l.arch.free {
		setLengths(l.WDec, l.Outputs(), freeLength)
		setLengths(l.WEnc, l.D, freeLength)
	}
}

// encoderLength is the initial length of the rows of W_e. With rows as long as the directions, many correlated latents together
// overshoot what they reconstruct: trainings of 500 and 1000 steps ended with a tenth more error. 1/√3, where torch's
// Linear and sparsify begin, and 0.1 find planted directions later or lose a little at the end (docs/training.md).
const encoderLength = 0.3

// towardsData mixes the direction of a random sample row, less b_d, into every direction
// (Anthropic's update of October 2025).
func (l *Learner) towardsData(r *rand.Rand, sample []float32, n int) {
	p, d := float32(l.cfg.DataInit), l.Outputs()
	z, t := make([]float32, l.D), make([]float32, d)
	for i := range l.M {
		at := r.IntN(n) * l.Row()
		l.target(t, sample[at:at+l.Row()], 1)
		mix(l.WDec[i*d:(i+1)*d], t, p)
		if l.Out > 0 {
			l.centre(z, sample[at:at+l.Row()], 1)
			mix(l.WEnc[i*l.D:(i+1)*l.D], z, p)
		}
	}
}

// freeLength is the initial length of directions that may have any.
const freeLength = 0.1
