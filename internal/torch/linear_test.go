package torch

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// withLibtorch runs f with the kernel of Linear off.
func withLibtorch(f func()) {
	was := fastLinear
	fastLinear = false
	defer func() { fastLinear = was }()
	f()
}

// Every number of rows of a tile, and inputs and outputs around the edges of panels, beside the sum in float64.
func TestLinear(t *testing.T) {
	sizes := [][2]int64{{1, 1}, {16, 32}, {33, 31}, {100, 70}, {511, 33}, {513, 130}, {1030, 17}}
	for _, size := range sizes {
		for _, n := range []int64{1, 4, 5, 13, 14, 15, 29, 43, 64} {
			for _, bias := range []bool{true, false} {
				err := Do(func(s *Scope) error { return besideFloat64(s, n, size[0], size[1], bias) })
				if err != nil {
					t.Errorf("%d rows, %d inputs, %d outputs, bias %v: %v", n, size[0], size[1], bias, err)
				}
			}
		}
	}
}

// besideFloat64 compares with what the definition gives, to a few roundings of the sum of the products' magnitudes.
func besideFloat64(s *Scope, n, in, out int64, bias bool) error {
	x, w := s.Randn(1, n, in), s.Randn(2, out, in)
	var b *Tensor
	if bias {
		b = s.Randn(3, out)
	}
	y, xs, ws := s.Linear(x, w, b).Float32s(), x.Float32s(), w.Float32s()
	for i := range n {
		for o := range out {
			var want, size float64
			if bias {
				want = float64(b.Float32s()[o])
			}
			for k := range in {
				term := float64(xs[i*in+k]) * float64(ws[o*in+k])
				want, size = want+term, size+math.Abs(term)
			}
			if got := float64(y[i*out+o]); math.Abs(got-want) > 1e-6*(size+1) {
				return fmt.Errorf("output %d of row %d is %g, want %g", o, i, got, want)
			}
		}
	}
	return nil
}

// Long sums are taken in parts: in one go, the error of a sum of 8,192 terms is five times as large.
func TestLinearLongSums(t *testing.T) {
	const n, in, out = 8, 8192, 33
	err := Do(func(s *Scope) error {
		x, w := s.Randn(1, n, in), s.Randn(2, out, in)
		got, xs, ws := s.Linear(x, w, nil).Float32s(), x.Float32s(), w.Float32s()
		var off, size float64
		for i := range n {
			for o := range out {
				want := 0.0
				for k := range in {
					want += float64(xs[i*in+k]) * float64(ws[o*in+k])
				}
				off, size = off+math.Pow(float64(got[i*out+o])-want, 2), size+want*want
			}
		}
		if rms := math.Sqrt(off / size); rms > 5e-7 {
			t.Errorf("the error is %.2g of the products' RMS", rms)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A row's bits depend neither on the rows beside it nor on the number of threads; NaN and infinity stay.
func TestLinearRowsAlone(t *testing.T) {
	if !fastLinear {
		t.Log("this CPU has no AVX-512: libtorch computes the products")
		return
	}
	was := Threads()
	defer SetThreads(was)
	var all [][]float32
	for _, threads := range []int{1, 2, 3} {
		SetThreads(threads)
		err := Do(func(s *Scope) error {
			x, w := s.Randn(1, 50, 600), s.Randn(2, 40, 600)
			x.Float32s()[7*600] = float32(math.Inf(1))
			y := s.Linear(s.View(x, 2, 25, 600), w, nil)
			if got := y.Shape(); !slices.Equal(got, []int64{2, 25, 40}) {
				t.Errorf("the shape is %v", got)
			}
			all = append(all, slices.Clone(y.Float32s()))
			part := s.Linear(s.Narrow(x, 0, 20, 9), w, nil).Float32s()
			if !slices.Equal(part, y.Float32s()[20*40:29*40]) {
				t.Error("rows 20 to 28 are others alone")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if v := all[0][7*40]; !math.IsInf(float64(v), 0) {
		t.Errorf("a row with an infinity gives %g", v)
	}
	for _, other := range all[1:] {
		if !slices.Equal(all[0], other) {
			t.Error("the number of threads changes bits")
		}
	}
}

func BenchmarkLinear(b *testing.B) {
	for _, n := range []int64{16, 64, 512} {
		for _, name := range []string{"kernel", "libtorch"} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				run := func() {
					err := Do(func(s *Scope) error {
						x, w, bias := s.Randn(1, n, 512), s.Randn(2, 2048, 512), s.Randn(3, 2048)
						for b.Loop() {
							s.Sub(func(s *Scope) *Tensor { s.Linear(x, w, bias); return nil })
						}
						return nil
					})
					if err != nil {
						b.Fatal(err)
					}
				}
				if name == "libtorch" {
					withLibtorch(run)
				} else {
					run()
				}
				b.ReportMetric(float64(n)*512*2048*2*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
