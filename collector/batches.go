package collector

import (
	"sort"

	"actfleet/collector/dataset"
)

// batch is the prompts that go through the model together, by their index in the input.
type batch struct {
	rows  []int
	steps int // padded length T
}

// batches cuts rows [lo, hi) of the input into batches: prompts sorted by length, shortest first and
// stable, as many as fit the token budget when padded to the longest of them. A prompt longer than
// the budget is a batch of its own. The result is a function of the lengths alone.
func batches(in *dataset.Input, lo, hi, budget int) []batch {
	order := make([]int, 0, hi-lo)
	for row := lo; row < hi; row++ {
		order = append(order, row)
	}
	length := func(i int) int { return len(in.IDs[order[i]]) }
	sort.SliceStable(order, func(i, j int) bool { return length(i) < length(j) })
	var out []batch
	for start := 0; start < len(order); {
		end := start + 1
		for end < len(order) && (end-start+1)*length(end) <= budget {
			end++
		}
		out = append(out, batch{rows: order[start:end], steps: length(end - 1)})
		start = end
	}
	return out
}
