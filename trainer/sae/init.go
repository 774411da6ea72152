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
	if err := l.beginScales(in, out, from, to); err != nil {
		return err
	}
	for j := range l.BDec {
		l.BDec[j] = l.scale * l.gain(j) * float32(to[j])
	}
	l.consts[constVariance] = l.variance(out, n)
	l.beginDirections(sample[:n*l.Row()], n)
	clear(l.BEnc)
	l.beginArch()
	if l.plain && !l.free() {
		l.centrePlain(from)
	}
	l.beginWindow()
	return nil
}

// columns are d columns of rows from column at on; the rows themselves where these are all.
func columns(x []float32, n, row, at, d int) []float32 {
	if d == row {
		return x[:n*d]
	}
	out := make([]float32, 0, n*d)
	for b := range n {
		out = append(out, x[b*row+at:b*row+at+d]...)
	}
	return out
}

// differ tells whether n rows of x are not all the same, beyond rounding.
func differ(x []float32, n int) bool {
	square := meanSquare(x, make([]float64, len(x)/n))
	return meanSquare(x, columnMeans(x, n)) > 1e-20*square && !math.IsInf(square, 0)
}

// middle is the geometric median of rows, or 0 where directions are free.
func (l *Learner) middle(x []float32, n int) []float64 {
	if l.free() {
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

// centrePlain lets an encoder that sees s·x begin with what it would give for s·x less the middle.
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
