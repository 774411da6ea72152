package torch

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func randomValues(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// The kernels equal sums in float64, at lengths around their blocks.
func TestSparseKernels(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, d := range []int{1, 7, 31, 32, 33, 63, 64, 65, 130, 512} {
		const n, rows = 9, 20
		x, y, a := randomValues(r, rows*d), randomValues(r, d), randomValues(r, n)
		at := make([]int32, n)
		for k := range at {
			at[k] = int32(r.IntN(rows))
		}
		dots := make([]float32, n)
		Dots(dots, y, x, at, 0.5)
		sum := slices.Clone(y)
		Combine(sum, x, at, a)
		for k, row := range at {
			var want float64
			for j := range d {
				want += 0.5 * float64(y[j]) * float64(x[int(row)*d+j])
			}
			if math.Abs(float64(dots[k])-want) > 1e-5*(1+math.Sqrt(float64(d))) {
				t.Errorf("d %d: dot %v, want %v", d, dots[k], want)
			}
		}
		for j := range d {
			want := float64(y[j])
			for k, row := range at {
				want += float64(a[k]) * float64(x[int(row)*d+j])
			}
			if math.Abs(float64(sum[j])-want) > 1e-5 {
				t.Errorf("d %d: combination %v, want %v", d, sum[j], want)
			}
		}
	}
}

func TestSparseRowOutside(t *testing.T) {
	for _, row := range []int32{-1, 2} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("row %d of two is read", row)
				}
			}()
			Combine(make([]float32, 4), make([]float32, 8), []int32{0, row}, []float32{1, 1})
		}()
	}
}

// A step equals the equations in float64.
func TestAdamKernel(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	c := Adam{B1: 0.9, B2: 0.999, Scale: 0.5, LR: 0.01, Root: 3, Eps: 1e-8, Keep: 0.99}
	for _, n := range []int{1, 8, 15, 1000} {
		w, g, m, v := randomValues(r, n), randomValues(r, n), randomValues(r, n), randomValues(r, n)
		for i := range v {
			v[i] *= v[i]
		}
		got := slices.Clone(w)
		m0, v0 := slices.Clone(m), slices.Clone(v)
		c.Step(got, g, m, v)
		for i := range w { // alone, a value takes the plain path
			one, m1, v1 := []float32{w[i]}, []float32{m0[i]}, []float32{v0[i]}
			if c.Step(one, g[i:i+1], m1, v1); one[0] != got[i] || m1[0] != m[i] || v1[0] != v[i] {
				t.Fatalf("n %d: other bits alone", n)
			}
		}
		for i := range w {
			gi := 0.5 * float64(g[i])
			mi := float64(c.B1)*float64(m0[i]) + (1-float64(c.B1))*gi
			vi := float64(c.B2)*float64(v0[i]) + (1-float64(c.B2))*gi*gi
			want := float64(c.Keep)*float64(w[i]) - float64(c.LR)*mi/(math.Sqrt(vi*3)+1e-8)
			if math.Abs(float64(got[i])-want) > 1e-5*(1+math.Abs(want)) || math.Abs(float64(m[i])-mi) > 1e-6 || math.Abs(float64(v[i])-vi) > 1e-5*(1+vi) {
				t.Fatalf("n %d: %v %v %v, want %v %v %v", n, got[i], m[i], v[i], want, mi, vi)
			}
		}
	}
}
