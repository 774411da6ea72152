package sae

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Init sets the scale, the biases, the directions and V from n sample rows.
func (l *Learner) Init(sample []float32, n int) error {
	d := l.D
	if n < 2 || len(sample) < n*d {
		return fmt.Errorf("sae: %d sample rows are too few to begin with", n)
	}
	sample = sample[:n*d]
	centre := GeometricMedian(sample, n)
	if l.Arch.free() {
		clear(centre)
	}
	spread := meanSquare(sample, centre)
	if !(spread > 0) || math.IsInf(spread, 0) {
		return fmt.Errorf("sae: the sample's vectors have a spread of %v", spread)
	}
	l.scale = 1
	if l.cfg.Scale {
		l.scale = float32(math.Sqrt(float64(d) / spread))
	}
	l.consts[constScale] = float64(l.scale)
	for j := range l.BDec {
		l.BDec[j] = l.scale * float32(centre[j])
	}
	s := float64(l.scale)
	l.consts[constVariance] = s * s * meanSquare(sample, columnMeans(sample, n))
	l.randomDirections()
	l.beginArch()
	return nil
}

// randomDirections fills W_d with unit rows, uniform on the sphere, and ties W_e.
func (l *Learner) randomDirections() {
	r := rand.New(rand.NewPCG(l.cfg.Seed, 0x5ae))
	for i := range l.WDec {
		l.WDec[i] = float32(normal(r))
	}
	l.unitRows()
	if l.Arch.free() {
		shorten(l.WDec, l.D)
	}
	copy(l.WEnc, l.WDec)
	clear(l.BEnc)
}

// freeLength is the length that directions of any length begin with.
const freeLength = 0.1

// shorten brings rows of d values to freeLength.
func shorten(w []float32, d int) {
	for i := 0; i < len(w); i += d {
		f := float32(freeLength / max(math.Sqrt(squareNorm(w[i:i+d])), 1e-12))
		for j := range d {
			w[i+j] *= f
		}
	}
}

// normal is one normal number by Box and Muller, spelled out because the standard
// library may change the numbers its NormFloat64 gives.
func normal(r *rand.Rand) float64 {
	u := 1 - float64(r.Uint64()>>11)/(1<<53) // (0, 1]
	v := float64(r.Uint64()>>11) / (1 << 53)
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}

// GeometricMedian is the point with the least sum of distances to the n rows of x,
// by Weiszfeld's iteration from the mean: weights 1/max(‖x−m‖, ε), at most 100
// steps, until m moves by less than 1e-6 of the rows' spread.
func GeometricMedian(x []float32, n int) []float64 {
	d := len(x) / n
	m := columnMeans(x, n)
	tol := 1e-6 * math.Sqrt(meanSquare(x, m))
	for range 100 {
		next, total := make([]float64, d), 0.0
		for i := range n {
			row := x[i*d : (i+1)*d]
			w := 1 / max(distance(row, m), 1e-3*tol, 1e-30)
			total += w
			for j, v := range row {
				next[j] += w * float64(v)
			}
		}
		var moved float64
		for j := range next {
			next[j] /= total
			moved += (next[j] - m[j]) * (next[j] - m[j])
		}
		m = next
		if math.Sqrt(moved) <= tol {
			break
		}
	}
	return m
}

func columnMeans(x []float32, n int) []float64 {
	d := len(x) / n
	m := make([]float64, d)
	for i, v := range x {
		m[i%d] += float64(v)
	}
	for j := range m {
		m[j] /= float64(n)
	}
	return m
}

func distance(row []float32, m []float64) float64 {
	var sum float64
	for j, v := range row {
		c := float64(v) - m[j]
		sum += c * c
	}
	return math.Sqrt(sum)
}

// meanSquare is the mean of ‖x−m‖² over the rows.
func meanSquare(x []float32, m []float64) float64 {
	d := len(m)
	var sum float64
	for i := 0; i < len(x); i += d {
		r := distance(x[i:i+d], m)
		sum += r * r
	}
	return sum / float64(len(x)/d)
}
