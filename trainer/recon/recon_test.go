package recon

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// The vectors were computed by hand from the definitions.
func TestVectors(t *testing.T) {
	for _, c := range []struct {
		name    string
		x, xhat []float32 // rows of 2
		want    map[string]float64
	}{
		{"the three scores differ", []float32{4, 0, 0, 1, -1, -1}, []float32{3, 0, 0, 0, -1, 0},
			map[string]float64{"fvu": 3. / 16, "ev": .8125, "ev_legacy": .7296296296, "fve_var": .8333333333}},
		{"constant offset", []float32{2, 0, 0, 4}, []float32{3, 1, 1, 5},
			map[string]float64{"ev": .6, "fve_var": 1}},
		{"not the mean of squares", []float32{2, 0, 0, 4}, []float32{2, 1, 0, 3},
			map[string]float64{"ev": .8}},
		{"shrunk by half", []float32{2, 0, 0, 4}, []float32{1, 0, 0, 2},
			map[string]float64{"cosine": 1, "l2_ratio": .5, "relative_bias": .5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s Sums
			s.Add(c.x, c.xhat, len(c.x)/2)
			got := s.Metrics()
			for name, want := range c.want {
				if math.Abs(got[name]-want) > 1e-9 {
					t.Errorf("%s = %v, want %v", name, got[name], want)
				}
			}
		})
	}
}

// Pooled numbers do not depend on how the rows come.
func TestSplits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 20).Draw(t, "rows")
		// Small whole numbers: a variance is either 0 or far from it.
		value := rapid.Map(rapid.IntRange(-9, 9), func(i int) float32 { return float32(i) })
		x := rapid.SliceOfN(value, 3*n, 3*n).Draw(t, "x")
		h := rapid.SliceOfN(value, 3*n, 3*n).Draw(t, "xhat")
		cut := rapid.IntRange(0, n).Draw(t, "cut")
		var whole, parts Sums
		whole.Add(x, h, n)
		parts.Add(x[:3*cut], h[:3*cut], cut)
		parts.Add(x[3*cut:], h[3*cut:], n-cut)
		var joined, rest Sums
		joined.Add(x[:3*cut], h[:3*cut], cut)
		rest.Add(x[3*cut:], h[3*cut:], n-cut)
		joined.Join(&rest)
		if j, p := joined.FVU(), parts.FVU(); j != p && !math.IsNaN(j) && math.Abs(j-p) > 1e-9*(1+math.Abs(p)) {
			t.Fatalf("fvu: joined %v, in parts %v", j, p)
		}
		a, b := whole.Metrics(), parts.Metrics()
		for _, name := range []string{"fvu", "ev", "fve_var", "cosine", "l2_ratio", "relative_bias"} {
			if math.Abs(a[name]-b[name]) > 1e-9*(1+math.Abs(a[name])) {
				t.Fatalf("%s: whole %v, in parts %v", name, a[name], b[name])
			}
		}
	})
}

// Data without variance have an fvu that is no number, rather than a wrong one or none.
func TestNoVariance(t *testing.T) {
	var s Sums
	s.Add([]float32{1, 1, 1, 1}, []float32{1, 1, 1, 1}, 2)
	if v, ok := s.Metrics()["fvu"]; !ok || !math.IsNaN(v) {
		t.Errorf("fvu = %v, %v", v, ok)
	}
}

// L12: an error of twice the size is a greater loss, four times as great; a measure that only compares shapes would not tell.
func TestNeverAgainL12TwiceTheErrorIsWorse(t *testing.T) {
	x, once, twice := []float32{3, 1, -2, 4, 0, 5}, make([]float32, 6), make([]float32, 6)
	for i, v := range x {
		e := float32(i%3) - 0.7
		once[i], twice[i] = v+e, v+2*e
	}
	var a, b Sums
	a.Add(x, once, 3)
	b.Add(x, twice, 3)
	if ratio := b.FVU() / a.FVU(); math.Abs(ratio-4) > 1e-5 || !(b.SquaredError() > a.SquaredError()) {
		t.Errorf("FVU %v, of twice the error %v", a.FVU(), b.FVU())
	}
}
