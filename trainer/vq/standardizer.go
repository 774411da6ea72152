package vq

import (
	"fmt"
	"math"

	"actfleet/trainer/parallel"
	"actfleet/trainer/state"
)

// standardizer brings rows to a mean of 0 and a mean square of 1 over the sample:
// z = (x − centre)/scale. A column that never changes becomes 0.
type standardizer struct {
	centre []float32 // [D]
	scale  []float32 // one element, the same for all columns

	z []float32 // work, [n, D]
}

func newStandardizer(d int) standardizer {
	return standardizer{centre: make([]float32, d), scale: []float32{1}}
}

// fit sets centre and scale from n sample rows.
func (f *standardizer) fit(sample []float32, n int) error {
	d := len(f.centre)
	mean, square, whole := make([]float64, d), 0.0, 0.0
	for i, v := range sample[:n*d] {
		mean[i%d] += float64(v)
	}
	for j := range mean {
		mean[j] /= float64(n)
		f.centre[j] = float32(mean[j])
	}
	for i, v := range sample[:n*d] {
		r := float64(v) - mean[i%d]
		square, whole = square+r*r, whole+float64(v)*float64(v)
	}
	scale := math.Sqrt(square / float64(n*d))
	if !(square > 1e-20*whole) || math.IsInf(scale, 0) { // not by rounding alone
		return fmt.Errorf("vq: the %d rows looked at have a spread of %v: a tokenizer needs finite rows that differ", n, scale)
	}
	f.scale[0] = float32(scale)
	return nil
}

// apply is z of n rows, in memory that the next call uses again.
func (f *standardizer) apply(x []float32, n int) []float32 {
	d, s := len(f.centre), f.scale[0]
	f.z = grow(f.z, n*d)
	parallel.For(n, rowGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			for j, c := range f.centre {
				f.z[i*d+j] = (x[i*d+j] - c) / s
			}
		}
	})
	return f.z
}

// invert turns z into x, in place.
func (f *standardizer) invert(z []float32) {
	d, s := len(f.centre), f.scale[0]
	for i := range z {
		z[i] = z[i]*s + f.centre[i%d]
	}
}

func (f *standardizer) state(s *state.Set) {
	state.Add(s, "centre", f.centre)
	state.Add(s, "scale", f.scale)
}

func (f *standardizer) checkScale() error {
	if !(f.scale[0] > 0) {
		return fmt.Errorf("scale is %v, must be above 0", f.scale[0])
	}
	return nil
}

// rowGrain is the least number of rows worth a goroutine of their own.
const rowGrain = 64

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
