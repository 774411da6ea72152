package recon

import (
	"slices"
	"testing"
)

func TestFiring(t *testing.T) {
	f := Firing{N: 1_000_000, Count: []int64{0, 0, 1, 9, 10, 100_000, 100_001, 1_000_000}}
	for name, want := range map[string]float64{"dead": 2, "under_1e-6": 2, "under_1e-5": 4, "dense": 2} {
		if got := f.Metrics()[name]; got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	h := f.Histogram()
	if h.Dead != 2 || h.From != -6 || len(h.Count) != 24 {
		t.Errorf("%+v", h)
	}
	want := make([]int, 24)
	want[0], want[3], want[4], want[20], want[23] = 1, 1, 1, 2, 1
	if !slices.Equal(h.Count, want) {
		t.Errorf("bins %v, want %v", h.Count, want)
	}
}

// Every latent is counted once, also of few rows.
func TestHistogramIsWhole(t *testing.T) {
	for _, f := range []Firing{{}, {N: 1, Count: []int64{0, 1}}, {N: 3, Count: []int64{1, 2, 3, 0}}} {
		h := f.Histogram()
		total := h.Dead
		for _, n := range h.Count {
			total += n
		}
		if total != len(f.Count) {
			t.Errorf("%+v holds %d of %d latents", h, total, len(f.Count))
		}
	}
}
