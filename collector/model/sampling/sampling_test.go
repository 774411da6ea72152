package sampling

import (
	"math"
	"slices"
	"testing"
)

var logits = []float32{1, 3, 2, 3, float32(math.Inf(-1))}

func ids(all []candidate) (out []int32) {
	for _, c := range all {
		out = append(out, c.id)
	}
	return out
}

func TestCandidates(t *testing.T) {
	for _, c := range []struct {
		rule Rule
		want []int32
	}{
		{Rule{Temperature: 1}, []int32{1, 3, 2, 0, 4}},
		{Rule{Temperature: 1, TopK: 3}, []int32{1, 3, 2}},
		{Rule{Temperature: 1, TopK: 9}, []int32{1, 3, 2, 0, 4}},
		{Rule{Temperature: 1, TopP: 0.01}, []int32{1}},
		{Rule{Temperature: 1, TopP: 0.5}, []int32{1, 3}},       // the first alone has 0.40
		{Rule{Temperature: 1, TopK: 2, TopP: 0.5}, []int32{1}}, // of two it has half
		{Rule{Temperature: 1, TopP: 1}, []int32{1, 3, 2, 0, 4}},
		{Rule{Temperature: 0.01, TopP: 0.999}, []int32{1, 3}},
	} {
		if got := ids(c.rule.candidates(logits)); !slices.Equal(got, c.want) {
			t.Errorf("%+v draws from %v, want %v", c.rule, got, c.want)
		}
	}
}

func TestGreedyTakesTheFirstOfEqualLogits(t *testing.T) {
	if id := New(Rule{}, 1, 2).Next(logits); id != 1 {
		t.Errorf("token %d, want 1", id)
	}
}

// What is drawn follows the softmax: of many draws, the frequency of each token is within five standard deviations.
func TestDrawsFollowTheDistribution(t *testing.T) {
	const n = 20000
	s, count := New(Rule{Temperature: 2}, 7, 0), make([]float64, len(logits))
	for range n {
		count[s.Next(logits)]++
	}
	var total float64
	for _, v := range logits {
		total += math.Exp(float64(v) / 2)
	}
	for id, v := range logits {
		p := math.Exp(float64(v)/2) / total
		if off := math.Abs(count[id] - n*p); off > 5*math.Sqrt(n*p*(1-p)) {
			t.Errorf("token %d was drawn %v times of %d, its probability is %.3f", id, count[id], n, p)
		}
	}
}

func TestDrawsDependOnSeedAndPrompt(t *testing.T) {
	draw := func(seed uint64, prompt int64) (out []int32) {
		s, flat := New(Rule{Temperature: 1}, seed, prompt), make([]float32, 1000)
		for range 8 {
			out = append(out, s.Next(flat))
		}
		return out
	}
	first := draw(1, 5)
	if again := draw(1, 5); !slices.Equal(first, again) {
		t.Errorf("%v, then %v", first, again)
	}
	for _, other := range [][]int32{draw(2, 5), draw(1, 6), draw(5, 1)} {
		if slices.Equal(first, other) {
			t.Errorf("%v for two prompts", first)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, bad := range []Rule{{Temperature: -1}, {Temperature: math.NaN()}, {Temperature: math.Inf(1)}, {Temperature: 1, TopK: -1},
		{Temperature: 1, TopP: 1.5}, {Temperature: 1, TopP: math.NaN()}, {TopK: 3}, {TopP: 0.5}} {
		if bad.Check() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
	for _, good := range []Rule{{}, {Temperature: 0.7}, {Temperature: 1, TopK: 50, TopP: 0.9}} {
		if err := good.Check(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
}
