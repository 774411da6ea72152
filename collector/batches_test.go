package collector

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"actfleet/collector/dataset"
)

// Every row of the range is in one batch, no batch breaks the budget unless a single prompt does, and
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
		for _, b := range cutBatches(in.Lengths(), lo, len(lengths), budget, func(n int) int { return n }) {
			if len(b.rows) > 1 && len(b.rows)*b.steps > budget {
				t.Fatalf("%d rows of %d tokens break the budget %d", len(b.rows), b.steps, budget)
			}
			for _, row := range b.rows {
				if lengths[row] < last || lengths[row] > b.steps {
					t.Fatalf("length %d after %d in a batch of %d", lengths[row], last, b.steps)
				}
				last = lengths[row]
			}
			seen = append(seen, b.rows...)
		}
		slices.Sort(seen)
		for i, row := range seen {
			if row != lo+i {
				t.Fatalf("rows %v of %d..%d", seen, lo, len(lengths))
			}
		}
	})
}
