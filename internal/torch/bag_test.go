package torch

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Bags and their gradients equal those of the product with a dense matrix of the weights.
func TestBags(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n, v, d := rapid.Int64Range(1, 5).Draw(rt, "rows"), rapid.Int64Range(1, 6).Draw(rt, "matrix"), rapid.Int64Range(1, 9).Draw(rt, "length")
		var index, first, row []int64
		for i := range n {
			first = append(first, int64(len(index)))
			for range rapid.IntRange(0, 4).Draw(rt, "entries") {
				index, row = append(index, rapid.Int64Range(0, v-1).Draw(rt, "index")), append(row, i)
			}
		}
		if len(index) == 0 {
			return
		}
		check := func(what string, got, want *Tensor, s *Scope) {
			g, w := s.Contiguous(s.Reshape(got, -1)).Float32s(), s.Contiguous(s.Reshape(want, -1)).Float32s()
			for i := range w {
				if len(g) != len(w) || math.Abs(float64(g[i]-w[i])) > 1e-4 {
					rt.Fatalf("%s: %v, want %v", what, g, w)
				}
			}
		}
		err := DoGrad(func(s *Scope) error {
			e := int64(len(index))
			at, begin, of := FromInt64(s, index, e), FromInt64(s, first, n), FromInt64(s, row, e)
			w, f := s.Param(s.Randn(1, v, d)), s.Param(s.Randn(2, e))
			defer w.Free()
			defer f.Free()
			outer := s.Randn(3, n, d)
			sparse := s.Bag(w, at, begin, of, f)
			s.Backward(s.Sum(s.Mul(sparse, outer)))
			gw, gf := s.Clone(s.Grad(w)), s.Clone(s.Grad(f))
			ZeroGrad(w, f)
			cells := s.Add(s.Mul(of, FromInt64(s, []int64{v}, 1)), at)
			dense := s.MatMul(s.View(s.IndexAdd(s.Zeros(F32, CPU, n*v), 0, cells, f), n, v), w)
			s.Backward(s.Sum(s.Mul(dense, outer)))
			check("bag", sparse, dense, s)
			check("gradient of the matrix", gw, s.Grad(w), s)
			check("gradient of the weights", gf, s.Grad(f), s)
			check("BagDots", s.BagDots(outer, s.Detach(w), at, begin, of), s.Grad(f), s)
			check("BagGrad", s.BagGrad(outer, at, of, s.Detach(f), v), s.Grad(w), s)
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}

func TestFakeGPUBags(t *testing.T) {
	needFakeGPU(t)
	gradients := func(at Device) (out [][]float32) {
		err := DoGrad(func(s *Scope) error {
			on := func(x *Tensor) *Tensor { return s.ToDevice(x, at) }
			w, f := s.Param(on(s.Randn(1, 5, 3))), s.Param(on(s.Randn(2, 4)))
			defer w.Free()
			defer f.Free()
			index, first, row := on(FromInt64(s, []int64{0, 2, 4, 1}, 4)), on(FromInt64(s, []int64{0, 2}, 2)), on(FromInt64(s, []int64{0, 0, 1, 1}, 4))
			s.Backward(s.Sum(s.Square(s.Bag(w, index, first, row, f))))
			for _, g := range []*Tensor{s.Grad(w), s.Grad(f)} {
				out = append(out, slices.Clone(s.Contiguous(s.ToDevice(g, CPU)).Float32s()))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got, want := gradients(0), gradients(CPU); !slices.Equal(got[0], want[0]) || !slices.Equal(got[1], want[1]) {
		t.Errorf("gradients %v, want %v", got, want)
	}
}
