package torch

import (
	"math"
	"slices"
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

// The kernels beside libtorch's operators, which compute what does not lie in order, for widths around a vector's.
func TestTokenwiseBesideLibtorch(t *testing.T) {
	ops := map[string]func(s *Scope, x *Tensor) *Tensor{
		"SiluMul": func(s *Scope, x *Tensor) *Tensor { return s.SiluMul(x) },
		"GeluMul": func(s *Scope, x *Tensor) *Tensor { return s.GeluMul(x) },
		"RMSNorm": func(s *Scope, x *Tensor) *Tensor { return s.RMSNorm(x, s.Rand(9, x.Shape()[2]), 1e-5) },
	}
	for name, op := range ops {
		err := Do(func(s *Scope) error {
			for width := int64(2); width < 72; width += 6 {
				x := s.MulScalar(s.Randn(width, 3, 5, width), 3)
				strided := s.Transpose(s.Contiguous(s.Transpose(x, 0, 1)), 0, 1)
				ours, theirs := op(s, x), op(s, strided)
				if got, want := numbers(s, ours), numbers(s, theirs); !near(got, want) {
					t.Fatalf("%s of width %d gives %v, libtorch %v", name, width, got, want)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// Heads are normed where a projection put them as in a copy.
func TestRMSNormOfHeads(t *testing.T) {
	err := Do(func(s *Scope) error {
		heads, w := s.Transpose(s.Randn(1, 1, 5, 3, 20), 1, 2), s.Rand(2, 20)
		if got, want := s.RMSNorm(heads, w, 1e-5), s.RMSNorm(s.Contiguous(heads), w, 1e-5); !slices.Equal(numbers(s, got), numbers(s, want)) {
			t.Error("heads are normed otherwise where they lie apart")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Turn by the definition, for heads that lie as a projection gives them.
func TestTurn(t *testing.T) {
	const heads, tokens, width, pairs = 2, 3, 7, 3
	err := Do(func(s *Scope) error {
		x, angle := s.Randn(1, 1, tokens, heads, width), s.Randn(2, tokens, pairs)
		from, by := x.Float32s(), angle.Float32s()
		for _, adjacent := range []bool{false, true} {
			got := s.Turn(s.Transpose(x, 1, 2), s.Cos(angle), s.Sin(angle), adjacent)
			want := make([]float64, 0, heads*tokens*width)
			for h := range heads {
				for token := range tokens {
					row := from[(token*heads+h)*width:][:width]
					want = append(want, turned(row, by[token*pairs:][:pairs], adjacent)...)
				}
			}
			if !near(numbers(s, got), want) {
				t.Errorf("adjacent %v: %v, want %v", adjacent, numbers(s, got), want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// turned is a head's channels, the pairs of which turn by angles.
func turned(row, angles []float32, adjacent bool) []float64 {
	out := make([]float64, len(row))
	for i, v := range row {
		out[i] = float64(v)
	}
	for i, angle := range angles {
		a, b := i, i+len(angles)
		if adjacent {
			a, b = 2*i, 2*i+1
		}
		sin, cos := math.Sincos(float64(angle))
		x, y := out[a], out[b]
		out[a], out[b] = x*cos-y*sin, y*cos+x*sin
	}
	return out
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
