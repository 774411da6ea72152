package evaluate

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestECE(t *testing.T) {
	for name, c := range map[string]struct {
		p    []float64
		y    []bool
		bins int
		want float64
	}{
		"calibrated":          {[]float64{.5, .5, 1, 0}, []bool{true, false, true, false}, 3, 0},
		"always sure, wrong":  {[]float64{1, 1, 0, 0}, []bool{false, false, true, true}, 2, 1},
		"one bin cancels out": {[]float64{0, 1}, []bool{true, false}, 1, 0},
		"ties stay together":  {[]float64{.5, .5, .5, .5}, []bool{true, true, false, false}, 4, 0},
		"not a probability":   {[]float64{2}, []bool{true}, 2, math.NaN()},
		"no rows":             {nil, nil, 2, math.NaN()},
	} {
		if got := ECE(c.p, c.y, c.bins); !same(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestECEIgnoresOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores, positive, _ := drawSample(t)
		bins := rapid.IntRange(1, 8).Draw(t, "bins")
		order := rapid.Permutation(indices(len(scores))).Draw(t, "order")
		s2, p2 := make([]float64, len(order)), make([]bool, len(order))
		for i, j := range order {
			s2[i], p2[i] = scores[j], positive[j]
		}
		a, b := ECE(scores, positive, bins), ECE(s2, p2, bins)
		if !same(a, b) || a < 0 || a > 1 {
			t.Fatalf("ECE %v, in another order %v", a, b)
		}
	})
}

func TestECEBinsHaveEqualMass(t *testing.T) {
	// 10 rows in 5 bins: rows 2i and 2i+1 share a bin. One row of each is wrong by
	// the width of the pair only when bins have exactly two rows.
	var p []float64
	var y []bool
	for i := range 10 {
		p, y = append(p, float64(i)/10), append(y, i%2 == 1)
	}
	want := 0.0
	for b := range 5 {
		want += math.Abs(float64(2*b)/10+float64(2*b+1)/10-1) / 10
	}
	near(t, "ECE", ECE(p, y, 5), want, 1e-12)
}

func TestRecallAtFPR(t *testing.T) {
	scores := []float64{.9, .8, .7, .6, .5, .4}
	labels := []bool{true, true, false, true, false, false}
	near(t, "no false positive", RecallAtFPR(scores, labels, 0), 2./3, 1e-12)
	near(t, "one of three", RecallAtFPR(scores, labels, 0.34), 1, 1e-12)
	near(t, "a tie counts against", RecallAtFPR([]float64{1, 1}, []bool{true, false}, 0), 0, 0)
}

func TestMcNemar(t *testing.T) {
	for _, c := range []struct {
		b, c int
		want float64
	}{{0, 0, 1}, {5, 5, 1}, {0, 5, 2. / 32}, {1, 5, 2. * 7 / 64}, {10, 2, 2. * 79 / 4096}} {
		near(t, "p", McNemar(c.b, c.c), c.want, 1e-12)
		near(t, "p, exchanged", McNemar(c.c, c.b), c.want, 1e-12)
	}
	if p := McNemar(4000, 5000); !(p > 0 && p < 1e-20) {
		t.Errorf("large counts: %v", p)
	}
}

func TestCompareIsAntisymmetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, positive, group := drawSample(t)
		b := rapid.SliceOfN(rapid.Float64Range(0, 1), len(a), len(a)).Draw(t, "b")
		boot := Bootstrap{Replicates: 40}
		ab, ba := boot.Compare(a, b, positive, group, .5), boot.Compare(b, a, positive, group, .5)
		if !same(ab.AUROC, -ba.AUROC) || !same(ab.Interval.Lo, -ba.Interval.Hi) || ab.OnlyA != ba.OnlyB || ab.McNemarP != ba.McNemarP {
			t.Fatalf("A−B %+v, B−A %+v", ab, ba)
		}
		if self := boot.Compare(a, a, positive, group, .5); !math.IsNaN(self.AUROC) && (self.AUROC != 0 || self.Interval != Interval{0, 0} || self.McNemarP != 1) {
			t.Fatalf("A−A %+v", self)
		}
	})
}
