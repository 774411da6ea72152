package evaluate

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// pairAUROC is the definition: the share of (positive, negative) pairs in the
// right order, ties one half.
func pairAUROC(scores []float64, positive []bool) float64 {
	won, pairs := 0.0, 0.0
	for i, p := range positive {
		for j, q := range positive {
			if !p || q {
				continue
			}
			pairs++
			switch {
			case scores[i] > scores[j]:
				won++
			case scores[i] == scores[j]:
				won += 0.5
			}
		}
	}
	return won / pairs // NaN without pairs
}

// drawSample has few distinct scores, so that ties are common.
func drawSample(t *rapid.T) (scores []float64, positive []bool, group []int32) {
	n := rapid.IntRange(1, 40).Draw(t, "n")
	for range n {
		scores = append(scores, float64(rapid.IntRange(0, 12).Draw(t, "score"))/12)
		positive = append(positive, rapid.Bool().Draw(t, "label"))
		group = append(group, int32(rapid.IntRange(0, 9).Draw(t, "group")))
	}
	return scores, positive, GroupIndex(group)
}

func same(a, b float64) bool {
	return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) < 1e-12
}

func TestAUROCIsPairCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores, positive, _ := drawSample(t)
		if got, want := AUROC(scores, positive), pairAUROC(scores, positive); !same(got, want) {
			t.Fatalf("AUROC %v, pair counting %v", got, want)
		}
	})
}

func TestAUROCInvariances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores, positive, _ := drawSample(t)
		base := AUROC(scores, positive)
		cube, negated, flipped := make([]float64, len(scores)), make([]float64, len(scores)), make([]bool, len(scores))
		for i, s := range scores {
			cube[i], negated[i], flipped[i] = s*s*s-7, -s, !positive[i]
		}
		if got := AUROC(cube, positive); !same(got, base) {
			t.Fatalf("an increasing map changed %v to %v", base, got)
		}
		if got := AUROC(negated, positive); !same(got, 1-base) {
			t.Fatalf("negated scores: %v, want %v", got, 1-base)
		}
		if got := AUROC(scores, flipped); !same(got, 1-base) {
			t.Fatalf("flipped labels: %v, want %v", got, 1-base)
		}
		order := rapid.Permutation(indices(len(scores))).Draw(t, "order")
		s2, p2 := make([]float64, len(order)), make([]bool, len(order))
		for i, j := range order {
			s2[i], p2[i] = scores[j], positive[j]
		}
		if got := AUROC(s2, p2); !same(got, base) {
			t.Fatalf("another order of rows changed %v to %v", base, got)
		}
	})
}

func TestWeightedAUROCIsRepetition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores, positive, group := drawSample(t)
		count := make([]int32, countGroups(group))
		for i := range count {
			count[i] = int32(rapid.IntRange(0, 3).Draw(t, "count"))
		}
		var s2 []float64
		var p2 []bool
		for i, g := range group {
			for range count[g] {
				s2, p2 = append(s2, scores[i]), append(p2, positive[i])
			}
		}
		if got, want := rank(scores, positive, group).auroc(count), pairAUROC(s2, p2); !same(got, want) {
			t.Fatalf("weighted %v, repeated rows %v", got, want)
		}
	})
}

func TestAUROCUndefined(t *testing.T) {
	for name, c := range map[string]struct {
		scores   []float64
		positive []bool
	}{
		"no rows":   {nil, nil},
		"one class": {[]float64{1, 2}, []bool{true, true}},
		"NaN score": {[]float64{1, math.NaN()}, []bool{true, false}},
	} {
		if got := AUROC(c.scores, c.positive); !math.IsNaN(got) {
			t.Errorf("%s: %v, want NaN", name, got)
		}
	}
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func BenchmarkBootstrapAUROC(b *testing.B) {
	const n = 10_000
	scores, positive, group := make([]float64, n), make([]bool, n), make([]int32, n)
	for i := range scores {
		scores[i], positive[i], group[i] = float64(i*7919%n), i%3 == 0, int32(i/2)
	}
	for b.Loop() {
		Bootstrap{}.AUROC(scores, positive, group)
	}
}
