package evaluate

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// The expected values follow from the closed form by hand: at 0 hits of n the
// upper end is z²/(n+z²).
func TestWilson(t *testing.T) {
	z2 := 1.959963984540054 * 1.959963984540054
	none := Wilson(0, 10, 0.95)
	near(t, "0 of 10, lower", none.Lo, 0, 0)
	near(t, "0 of 10, upper", none.Hi, z2/(10+z2), 1e-12)
	half := Wilson(50, 100, 0.95)
	near(t, "50 of 100, lower", half.Lo, 0.403832, 1e-6)
	near(t, "50 of 100, upper", half.Hi, 0.596168, 1e-6)
	if Wilson(0, 0, 0.95).Defined() {
		t.Error("an interval without rows")
	}
}

func TestIntervalsHoldTheirPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores, positive, group := drawSample(t)
		if p := AUROC(scores, positive); !math.IsNaN(p) {
			ci := Bootstrap{Replicates: 50, Seed: rapid.Uint64().Draw(t, "seed")}.AUROC(scores, positive, group)
			if !ci.Contains(p) || ci.Lo < 0 || ci.Hi > 1 {
				t.Fatalf("AUROC %v outside %v", p, ci)
			}
		}
		ok := correct(scores, positive, 0.5)
		if ci := ClusteredWilson(ok, group, 0.95); !ci.Contains(share(ok)) && math.Abs(ci.Hi-share(ok)) > 1e-12 && math.Abs(ci.Lo-share(ok)) > 1e-12 {
			t.Fatalf("accuracy %v outside %v", share(ok), ci)
		}
	})
}

func TestClusteredWilsonKnowsCopies(t *testing.T) {
	var hit, once []bool
	var group, alone []int32
	for i := range 40 {
		once, alone = append(once, i%4 != 0), append(alone, int32(i))
		for range 25 { // every row 25 times: no new information
			hit, group = append(hit, i%4 != 0), append(group, int32(i))
		}
	}
	copies, single, naive := ClusteredWilson(hit, group, .95), Wilson(30, 40, .95), Wilson(750, 1000, .95)
	near(t, "width of 25 copies against single rows", copies.Hi-copies.Lo, single.Hi-single.Lo, 0.01)
	if copies.Hi-copies.Lo < 3*(naive.Hi-naive.Lo) {
		t.Errorf("copies counted as new rows: %v", copies)
	}
	independent := ClusteredWilson(once, alone, .95)
	near(t, "independent rows, lower", independent.Lo, single.Lo, 0.01)
}

func TestPerfectScoresAreNotCertain(t *testing.T) {
	scores, positive, group := []float64{.1, .2, .8, .9}, []bool{false, false, true, true}, []int32{0, 1, 2, 3}
	ci := Bootstrap{}.AUROC(scores, positive, group)
	if ci.Hi != 1 || ci.Lo < 0.2 || ci.Lo > 0.9 {
		t.Errorf("2 against 2, all in order: %v", ci)
	}
	large := PerfectAUROC(1, 500, 500, .95)
	if large.Lo < 0.98 || large.Lo >= 1 {
		t.Errorf("500 against 500, all in order: %v", large)
	}
	mirrored := PerfectAUROC(0, 500, 500, .95)
	near(t, "mirror image", mirrored.Hi, 1-large.Lo, 1e-12)
	if acc := ClusteredWilson([]bool{true, true, true, true}, group, .95); acc.Lo > 0.6 {
		t.Errorf("4 of 4 right: %v", acc)
	}
}

// planted draws groups of two rows that share half of their noise; the
// expected AUROC of unit-variance Gaussians a distance d apart is Φ(d/√2).
func planted(rng *rand.Rand, groups int, d float64) (scores []float64, positive []bool, group []int32) {
	for g := range groups {
		common := rng.NormFloat64()
		label := g%2 == 0
		for range 2 {
			x := (common + rng.NormFloat64()) / math.Sqrt2
			if label {
				x += d
			}
			scores, positive, group = append(scores, x), append(positive, label), append(group, int32(g))
		}
	}
	return scores, positive, group
}

func TestBootstrapCoverage(t *testing.T) {
	const rounds, d = 200, 1.0
	truth := 0.5 * math.Erfc(-d/math.Sqrt2/math.Sqrt2)
	rng := rand.New(rand.NewPCG(1, 2))
	held := 0
	for r := range rounds {
		scores, positive, group := planted(rng, 60, d)
		if (Bootstrap{Replicates: 200, Seed: uint64(r)}).AUROC(scores, positive, group).Contains(truth) {
			held++
		}
	}
	if held < rounds*88/100 || held == rounds {
		t.Errorf("the 95 %% interval held the truth in %d of %d data sets", held, rounds)
	}
}

func TestBootstrapIsSeeded(t *testing.T) {
	scores, positive, group := planted(rand.New(rand.NewPCG(3, 4)), 30, 1)
	a, b := Bootstrap{Seed: 5}.AUROC(scores, positive, group), Bootstrap{Seed: 5}.AUROC(scores, positive, group)
	if a != b {
		t.Errorf("same seed: %v and %v", a, b)
	}
	if c := (Bootstrap{Seed: 6}).AUROC(scores, positive, group); c == a {
		t.Errorf("another seed gave the same %v", c)
	}
}
