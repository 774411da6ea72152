package torch

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestSetThreads(t *testing.T) {
	defer SetThreads(Threads())
	for _, n := range []int{1, 3, 2} {
		SetThreads(n)
		var wg sync.WaitGroup
		for range 4 { // libtorch keeps the number per OS thread
			wg.Go(func() {
				run := Do(func(*Scope) error {
					if got := threadsHere(); got != n {
						t.Errorf("%d threads, want %d", got, n)
					}
					return nil
				})
				if run != nil {
					t.Error(run)
				}
			})
		}
		wg.Wait()
	}
}

// bitsCases are the operators whose bits might depend on the number of threads that compute them, with the shapes
// of a small model's forward pass.
func bitsCases() map[string]func(s *Scope) *Tensor {
	cases := map[string]func(s *Scope) *Tensor{
		"layernorm [700,256]": func(s *Scope) *Tensor { return s.LayerNorm(s.Randn(1, 700, 256), nil, nil, 1e-5) },
		"softmax [4096,700]":  func(s *Scope) *Tensor { return s.Softmax(s.Randn(1, 4096, 700), -1) },
		"gelu [700,1024]":     func(s *Scope) *Tensor { return s.Gelu(s.Randn(1, 700, 1024), true) },
		"gelu [701,1023]":     func(s *Scope) *Tensor { return s.Gelu(s.Randn(1, 701, 1023), false) },
		"exp [99991]":         func(s *Scope) *Tensor { return s.Exp(s.Randn(1, 99991)) },
		"sumdim [700,1024]":   func(s *Scope) *Tensor { return s.SumDim(s.Randn(1, 700, 1024), -1, false) },
		"sumdim0 [700,1024]":  func(s *Scope) *Tensor { return s.SumDim(s.Randn(1, 700, 1024), 0, false) },
		"sum [1000000]":       func(s *Scope) *Tensor { return s.Sum(s.Randn(1, 1_000_000)) },
		"norm [1000000]":      func(s *Scope) *Tensor { return s.Norm(s.Randn(1, 1_000_000)) },
		"bmm [32,129,64,129]": func(s *Scope) *Tensor { return s.Bmm(s.Randn(1, 32, 129, 64), s.Randn(2, 32, 64, 129)) },
	}
	for _, m := range []int64{1, 7, 33, 100, 512, 700, 2048} {
		for _, kn := range [][2]int64{{256, 768}, {256, 1024}, {1024, 256}, {2048, 2048}} {
			name := fmt.Sprintf("linear [%d,%d]x[%d,%d]", m, kn[0], kn[0], kn[1])
			cases[name] = func(s *Scope) *Tensor {
				return s.Linear(s.Randn(1, m, kn[0]), s.Randn(2, kn[1], kn[0]), s.Randn(3, kn[1]))
			}
		}
	}
	return cases
}

// TestThreadCountBits records for this machine's libtorch and BLAS which operators give other bits with 2 threads
// than with 1. It fails only where the difference is no rounding, or where two runs with 2 threads differ. What it
// printed on one AVX-512 machine:
//
//   - Debian's libtorch 1.13.1 with OpenBLAS 0.3.21: Sum over a million elements. None of 385 products
//     [M, K]x[K, N] with M of 1..260 depended on 1, 2 or 3 threads.
//   - PyTorch 2.15 with MKL: the same sum, and every product with M of 5, 6, 7, 9, 10 and 11.
//
// So a run that promises equal bytes fixes the number of threads in its plan. In both, a row's bits depend on M too:
// rows of a product with M = 1 or 2 differ from the same rows with M = 512, so it fixes the shapes of batches as well.
func TestThreadCountBits(t *testing.T) {
	defer SetThreads(Threads())
	compute := func(f func(s *Scope) *Tensor, n int) (out []float32) {
		SetThreads(n)
		run(t, func(s *Scope) { out = slices.Clone(s.Contiguous(f(s)).Float32s()) })
		return out
	}
	var differ []string
	for name, f := range bitsCases() {
		one, two, again := compute(f, 1), compute(f, 2), compute(f, 2)
		if !slices.Equal(two, again) {
			t.Errorf("%s: two runs with 2 threads differ", name)
		}
		if worst := distance(one, two); worst > 1e-4 {
			t.Errorf("%s: 1 and 2 threads differ by %g", name, worst)
		} else if worst > 0 {
			differ = append(differ, fmt.Sprintf("%s (%.1e)", name, worst))
		}
	}
	slices.Sort(differ)
	t.Logf("libtorch %s, %s: other bits with 2 threads in %d of %d: %s", Version(), BLAS(), len(differ), len(bitsCases()), strings.Join(differ, ", "))
}

// distance is the largest difference, relative to the root mean square.
func distance(a, b []float32) (worst float64) {
	square := 0.0
	for i := range a {
		square += float64(a[i]) * float64(a[i])
		worst = max(worst, math.Abs(float64(a[i])-float64(b[i])))
	}
	return worst / math.Sqrt(square/float64(len(a)))
}

func TestRandomNumbersDependOnSeedAndShapeOnly(t *testing.T) {
	defer SetThreads(Threads())
	var first []byte
	for _, n := range []int{1, 2} {
		SetThreads(n)
		run(t, func(s *Scope) {
			s.Randn(9, 3)
			got := bytes.Join([][]byte{s.Randn(5, 1000).Bytes(), s.Rand(5, 1000).Bytes(), s.Randperm(5, 1000).Bytes()}, nil)
			if first == nil {
				first = got
			}
			if !bytes.Equal(first, got) {
				t.Error("the same seed gave other numbers")
			}
			if bytes.Equal(s.Rand(6, 100).Bytes(), s.Rand(5, 100).Bytes()) {
				t.Error("another seed gave the same numbers")
			}
		})
	}
}

func TestParseDevice(t *testing.T) {
	for name, want := range map[string]Device{"cpu": CPU, "cuda:0": CUDADevice(0)} {
		if got := want.String(); got != name {
			t.Errorf("%d is called %q", want, got)
		}
	}
	if d, err := ParseDevice("cpu"); d != CPU || err != nil {
		t.Error(d, err)
	}
	if d, err := ParseDevice("auto"); err != nil || d.IsCUDA() != (CUDA() > 0) {
		t.Error(d, err)
	}
	for _, bad := range []string{"tpu", "cuda:", "cuda:-1", "cuda:x", "cuda:999"} {
		if _, err := ParseDevice(bad); err == nil {
			t.Errorf("%q is a device", bad)
		}
	}
}

func TestDtypeNames(t *testing.T) {
	if F16.String() != "f16" || F16.Size() != 2 || Dtype(99).Size() != 0 || Dtype(99).String() != "dtype 99" {
		t.Error("dtype names")
	}
}

func BenchmarkOp(b *testing.B) {
	bench := func(name string, f func(s *Scope, x *Tensor, n int)) {
		b.Run(name, func(b *testing.B) {
			err := Do(func(s *Scope) error {
				x := s.Ones(F32, CPU, 8)
				b.ResetTimer()
				f(s, x, b.N)
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
	each := func(op func(s *Scope, x *Tensor)) func(*Scope, *Tensor, int) {
		return func(s *Scope, x *Tensor, n int) {
			for n > 0 {
				part := min(n, 100) // a scope of 100 operations, as a layer's
				s.Sub(func(s *Scope) *Tensor {
					for range part {
						op(s, x)
					}
					return nil
				})
				n -= part
			}
		}
	}
	bench("c", func(_ *Scope, x *Tensor, n int) { loopAdd(x, x, n) })
	bench("add", each(func(s *Scope, x *Tensor) { s.Add(x, x) }))
	bench("mulscalar", each(func(s *Scope, x *Tensor) { s.MulScalar(x, 2) }))
	bench("view", each(func(s *Scope, x *Tensor) { s.View(x, 2, 4) }))
	bench("shape", each(func(s *Scope, x *Tensor) { x.Shape() }))
	b.Run("do", func(b *testing.B) {
		for b.Loop() {
			_ = Do(func(*Scope) error { return nil })
		}
	})
}
