package torch

import (
	"math"
	"testing"
)

// The kernel against the definition in float64, from where GELU is nothing to where it is its argument, for every
// length up to a few vectors.
func TestGeluTanh(t *testing.T) {
	err := Do(func(s *Scope) error {
		for n := range 70 {
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(14 * math.Sin(float64(i*i+n)))
			}
			got := s.Gelu(FromFloat32(s, x, int64(n)), true).Float32s()
			for i, v := range x {
				want := gelu(float64(v))
				if off := math.Abs(float64(got[i]) - want); off > 1.5e-7*math.Max(math.Abs(want), 0.2) {
					t.Errorf("gelu(%g) is off by %g", v, off)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// gelu is 0.5x(1 + tanh u), written so that nothing cancels.
func gelu(x float64) float64 {
	u := math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x)
	return x / (1 + math.Exp(-2*u))
}

// What is not finite does not become finite, and the kernel agrees with libtorch's, which computes what does not
// lie in a row.
func TestGeluTanhBesideLibtorch(t *testing.T) {
	err := Do(func(s *Scope) error {
		inf := float32(math.Inf(1))
		odd := s.Gelu(FromFloat32(s, []float32{inf, float32(math.NaN()), 1e30, -3e38, -inf, 0}, 6), true).Float32s()
		if odd[0] != inf || odd[1] == odd[1] || odd[2] != 1e30 || odd[3] != 0 || odd[4] != -inf || odd[5] != 0 {
			t.Errorf("inf, NaN, 1e30, -3e38, -inf and 0 become %v", odd)
		}
		x := s.MulScalar(s.Randn(1, 30, 50), 3)
		ours, theirs := s.Gelu(s.Clone(s.Transpose(x, 0, 1)), true).Float32s(), s.Contiguous(s.Gelu(s.Transpose(x, 0, 1), true)).Float32s()
		for i := range ours {
			if off := math.Abs(float64(ours[i] - theirs[i])); off > 1e-6 {
				t.Fatalf("value %d is %g, libtorch says %g", i, ours[i], theirs[i])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func BenchmarkGeluTanh(b *testing.B) {
	for _, name := range []string{"kernel", "libtorch"} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(4 << 20)
			err := Do(func(s *Scope) error {
				x := s.Randn(1, 1024, 1024)
				for b.Loop() {
					s.Sub(func(s *Scope) *Tensor {
						if name == "libtorch" {
							s.grad = true // it then leaves the kernel aside
						}
						return s.Gelu(x, true)
					}).Free()
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}
