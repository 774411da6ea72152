package model_test

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"actfleet/collector/model"
)

// askNext compares what a model says of the next tokens with what its logits say: likeliest tokens in their order, and
// probabilities within tolerance.
func askNext(t *testing.T, m forwards, tolerance float64) {
	t.Helper()
	var got []model.Chances
	next := &model.Next{Sets: [][]int32{{3}, {0, 96, 7}}, Top: 3, Emit: func(c model.Chances) { got = append(got, c) }}
	r := model.Request{IDs: [][]int32{{1, 5, 9, 2, 40, 7}, {2, 3}}, Next: next}
	if logits, err := m.Forward(t.Context(), r); err != nil || logits != nil || len(got) != len(r.IDs) {
		t.Fatalf("%d logits, chances after %d prompts, %v", len(logits), len(got), err)
	}
	r.Next, r.Logits = nil, true
	logits, err := m.Forward(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range logits {
		want := chances(l, next)
		same := func(a, b float64) bool { return math.Abs(a-b) <= tolerance*b }
		if !slices.EqualFunc(got[i].Sets, want.Sets, same) ||
			!slices.EqualFunc(got[i].Top, want.Top, func(a, b model.Chance) bool { return a.ID == b.ID && same(a.P, b.P) }) {
			t.Errorf("after prompt %d %+v, want %+v", i, got[i], want)
		}
	}
}

// chances are what logits say of the next token, by their definition.
func chances(logits []float32, n *model.Next) (c model.Chances) {
	var total float64
	for _, v := range logits {
		total += math.Exp(float64(v))
	}
	for _, set := range n.Sets {
		var p float64
		for _, id := range set {
			p += math.Exp(float64(logits[id])) / total
		}
		c.Sets = append(c.Sets, p)
	}
	for id, v := range logits {
		c.Top = append(c.Top, model.Chance{ID: int32(id), P: math.Exp(float64(v)) / total})
	}
	slices.SortStableFunc(c.Top, func(a, b model.Chance) int { return cmp.Compare(b.P, a.P) })
	c.Top = c.Top[:n.Top]
	return c
}

func TestNextIsWhatTheLogitsSay(t *testing.T) {
	m, _ := load(t, "phi-a")
	askNext(t, m, 1e-12)
}

// Of equal logits the smaller id is first; none are likeliest where none are asked for, and a NaN among them is no fault.
func TestNextOf(t *testing.T) {
	ids := func(n *model.Next, logits ...float32) (ids []int32) {
		for _, c := range n.Of(logits).Top {
			ids = append(ids, c.ID)
		}
		return ids
	}
	if got := ids(&model.Next{Top: 3}, 1, 5, 1, 0, 1); !slices.Equal(got, []int32{1, 0, 2}) {
		t.Errorf("likeliest are %v", got)
	}
	if got := ids(&model.Next{}, 1, 5); got != nil {
		t.Errorf("unasked %v", got)
	}
	if got := ids(&model.Next{Top: 2}, 1, float32(math.NaN()), 2); len(got) != 2 {
		t.Errorf("with a NaN %v", got)
	}
}
