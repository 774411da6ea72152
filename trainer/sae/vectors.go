package sae

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas/gonum"

	"actfleet/trainer/parallel"
)

var blas gonum.Implementation

// axpy adds a·x to y.
func axpy(a float32, x, y []float32) { blas.Saxpy(len(x), a, x, 1, y, 1) }

func dot(x, y []float32) float32 { return blas.Sdot(len(x), x, 1, y, 1) }

func squareNorm(v []float32) (sum float64) {
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return sum
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

// differ tells whether n rows of x are not all the same, beyond rounding.
func differ(x []float32, n int) bool {
	square := meanSquare(x, make([]float64, len(x)/n))
	return meanSquare(x, columnMeans(x, n)) > 1e-20*square && !math.IsInf(square, 0)
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

// setLengths brings rows of d values to a length.
func setLengths(w []float32, d int, length float64) {
	for i := 0; i < len(w); i += d {
		f := float32(length / max(math.Sqrt(squareNorm(w[i:i+d])), 1e-12))
		for j := range d {
			w[i+j] *= f
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

// randomRows fills w with unit rows of d values.
func randomRows(r *rand.Rand, w []float32, d int) {
	for i := range w {
		w[i] = float32(normal(r))
	}
	setLengths(w, d, 1)
}

// normal is one normal number by Box and Muller, spelled out because the standard
// library may change the numbers its NormFloat64 gives.
func normal(r *rand.Rand) float64 {
	u := 1 - float64(r.Uint64()>>11)/(1<<53) // (0, 1]
	v := float64(r.Uint64()>>11) / (1 << 53)
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}
