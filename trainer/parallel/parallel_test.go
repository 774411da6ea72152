package parallel

import (
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

func TestForCoversOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, grain := rapid.IntRange(0, 300).Draw(t, "n"), rapid.IntRange(1, 100).Draw(t, "grain")
		seen := make([]atomic.Int32, n)
		For(n, grain, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				seen[i].Add(1)
			}
		})
		for i := range seen {
			if seen[i].Load() != 1 {
				t.Fatalf("index %d visited %d times", i, seen[i].Load())
			}
		}
	})
}

func TestSum(t *testing.T) {
	for _, n := range []int{0, 1, chunk, 3*chunk + 5} {
		got := Sum(n, func(lo, hi int) float64 { return float64(hi - lo) })
		if got != float64(n) {
			t.Errorf("Sum of %d ones = %v", n, got)
		}
	}
}
