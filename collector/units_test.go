package collector

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"actfleet/collector/dataset"
)

// Every prompt of the range is in one batch, no batch breaks the budget unless a single prompt does, and
// lengths never fall.
func TestBatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lengths := rapid.SliceOfN(rapid.IntRange(1, 50), 1, 80).Draw(t, "lengths")
		budget := rapid.IntRange(1, 120).Draw(t, "budget")
		lo := rapid.IntRange(0, len(lengths)-1).Draw(t, "lo")
		in := &dataset.Input{}
		for _, n := range lengths {
			in.IDs = append(in.IDs, make([]int32, n))
		}
		var seen []int
		last := 0
		costs := rapid.SliceOfN(rapid.IntRange(1, 50), len(lengths), len(lengths)).Draw(t, "costs")
		for _, b := range cutBatches(in.Lengths(), lo, len(lengths), budget, func(prompt int) int { return costs[prompt] }) {
			most := 0
			for _, prompt := range b.prompts {
				most = max(most, costs[prompt])
			}
			if len(b.prompts) > 1 && len(b.prompts)*most > budget {
				t.Fatalf("%d prompts that cost %d each break the budget %d", len(b.prompts), most, budget)
			}
			for _, prompt := range b.prompts {
				if lengths[prompt] < last || lengths[prompt] > b.steps {
					t.Fatalf("length %d after %d in a batch of %d", lengths[prompt], last, b.steps)
				}
				last = lengths[prompt]
			}
			seen = append(seen, b.prompts...)
		}
		slices.Sort(seen)
		for i, prompt := range seen {
			if prompt != lo+i {
				t.Fatalf("prompts %v of %d..%d", seen, lo, len(lengths))
			}
		}
	})
}
