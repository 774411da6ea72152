package sae

import (
	"fmt"
	"math"
)

// prepareGains makes room for factors where columns have other scales than the first vector's.
func (l *Learner) prepareGains() {
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

// beginScales sets s and the gains so that every vector has the mean square 1 about its middle.
// Importance counts as a factor √w of a column, which makes the loss Σ w_j r_j².
func (l *Learner) beginScales(in, out []float32, from, to []float64) error {
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
