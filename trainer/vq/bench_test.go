package vq

import (
	"math/rand/v2"
	"testing"

	"actfleet/internal/torch"
)

// BenchmarkStep is a step of 2048 rows of 512, beside the matrix product it cannot do without.
func BenchmarkStep(b *testing.B) {
	const n, d, k = 2048, 512, 512
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, n*d)
	for i := range x {
		x[i] = float32(normal(r))
	}
	b.Run("matmul", func(b *testing.B) {
		for b.Loop() {
			err := torch.Do(func(s *torch.Scope) error {
				s.MatMul(torch.WrapFloat32(s, x, n, d), torch.WrapFloat32(s, x[:d*k], d, k))
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, a := range Archs {
		cfg := small(a)
		cfg.Codes, cfg.Hidden, cfg.Width, cfg.Levels = k, 256, 64, []int{8, 8, 8}
		l, err := New(d, cfg)
		if err != nil {
			b.Fatal(err)
		}
		if err := l.Init(x, n); err != nil {
			b.Fatal(err)
		}
		b.Run(string(a), func(b *testing.B) {
			for b.Loop() {
				step(b, l, x, n, 1e-3)
			}
		})
	}
}
