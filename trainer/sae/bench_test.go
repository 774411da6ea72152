package sae

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// BenchmarkStep reports the time of a whole optimizer step, and its ratio to the one
// dense matrix product it cannot do without, the encoder's.
func BenchmarkStep(b *testing.B) {
	for _, c := range []struct{ d, m, k, n int }{{256, 2048, 32, 2048}, {768, 6144, 32, 2048}} {
		b.Run(fmt.Sprintf("d=%d/M=%d/k=%d/rows=%d", c.d, c.m, c.k, c.n), func(b *testing.B) {
			l, err := New(c.d, Config{Width: c.m, K: c.k, AuxK: c.d / 2, AuxCoef: 1. / 32, DeadTokens: 1 << 40, Clip: 1, Scale: true})
			if err != nil {
				b.Fatal(err)
			}
			r := rand.New(rand.NewPCG(1, 1))
			x := make([]float32, c.n*c.d)
			for i := range x {
				x[i] = float32(normal(r))
			}
			if err := l.Init(x, c.n); err != nil {
				b.Fatal(err)
			}
			if err := l.Micro(x, c.n); err != nil { // warm
				b.Fatal(err)
			}
			var matmul time.Duration
			for b.Loop() {
				if err := l.Micro(x, c.n); err != nil {
					b.Fatal(err)
				}
				if _, err := l.Step(1e-3); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				start := time.Now()
				if err := l.encode(l.work.z, c.n, &l.work.codes, func([]float32) {}); err != nil {
					b.Fatal(err)
				}
				matmul += time.Since(start)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed())/float64(matmul), "x-matmul")
			b.ReportMetric(float64(c.n*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
