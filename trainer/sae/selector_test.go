package sae

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"pgregory.net/rapid"
)

// slowTop sorts the whole row.
func slowTop(row []float32, k int) map[int32]float32 {
	var order []int
	for i, v := range row {
		if v > 0 {
			order = append(order, i)
		}
	}
	sort.SliceStable(order, func(a, b int) bool { return row[order[a]] > row[order[b]] })
	out := map[int32]float32{}
	for _, i := range order[:min(k, len(order))] {
		out[int32(i)] = row[i]
	}
	return out
}

func TestTopAgainstSort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Few distinct values make ties; the lower index must win them.
		row := rapid.SliceOfN(rapid.SampledFrom([]float32{-1, 0, 0.5, 1, 1.5, 2, 3, float32(math.NaN())}), 0, 200).Draw(t, "row")
		if rapid.Bool().Draw(t, "distinct") {
			row = rapid.SliceOfN(rapid.Float32(), 0, 200).Draw(t, "row")
		}
		k := rapid.IntRange(1, 40).Draw(t, "k")
		idx, val := make([]int32, k), make([]float32, k)
		s := newSelector(k)
		s.guess = rapid.SampledFrom([]float32{0, 0.7, 2, 1e30}).Draw(t, "guess") // a bad guess costs time only
		n := s.top(row, idx, val)
		want := slowTop(row, k)
		if !slices.IsSorted(idx[:n]) {
			t.Fatalf("not by rising index: %v", idx[:n])
		}
		if n != len(want) {
			t.Fatalf("%d chosen, want %d", n, len(want))
		}
		for j, i := range idx[:n] {
			if v, ok := want[i]; !ok || v != val[j] {
				t.Fatalf("chose %d = %v, want %v", i, val[j], want)
			}
		}
	})
}

func TestChooseAmong(t *testing.T) {
	var c Codes
	c.reset(1, 2)
	c.chooseAmong([]float32{9, 1, 5, -1, 4, 3}, 6, []int32{1, 3, 4, 5})
	idx, val := c.Row(0)
	slices.Sort(idx)
	if !slices.Equal(idx, []int32{4, 5}) || val[0]+val[1] != 7 {
		t.Errorf("chose %v %v", idx, val)
	}
}

func BenchmarkTop(b *testing.B) {
	row := make([]float32, 2048)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range row {
		row[i] = float32(r.NormFloat64())
	}
	idx, val, s := make([]int32, 32), make([]float32, 32), newSelector(32)
	b.SetBytes(int64(4 * len(row)))
	for b.Loop() {
		s.top(row, idx, val)
	}
}
