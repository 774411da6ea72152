package collector

import (
	"sort"

	"actfleet/collector/dataset"
)

// batch is the prompts that go through the model together, by their index in the input.
type batch struct {
	rows   []int
	prefix int // tokens that all prompts of the unit begin with and that are computed once
	steps  int // padded length T, the prefix's tokens among it
}

// computed is how many positions a pass over the batch computes, pads and all.
func (b batch) computed() int { return len(b.rows) * (b.steps - b.prefix) }

// batches cuts unit u, whose prompts are in, into batches. A prompt costs the tokens computed for it or the positions kept of
// it, whichever are more.
func (us *units) batches(u int, in *dataset.Input) []batch {
	lo, hi := us.plan.UnitRange(u)
	prefix := sharedPrefix(in, int(lo), int(hi))
	work := cutBatches(us.lengths, int(lo), int(hi), us.plan.BatchTokens, us.cost(prefix))
	for i := range work {
		work[i].prefix = prefix
	}
	return work
}

// cost is what a prompt of n tokens costs of the budget.
func (us *units) cost(prefix int) func(n int) int {
	return func(n int) int { return max(n-prefix, len(us.rule.Positions(n))) }
}

// cutBatches cuts rows [lo, hi) of an input of so many tokens each into batches: prompts sorted by length, shortest first and
// stable, as many as fit the budget when each costs as much as the longest of them. A prompt that costs
// more than the budget is a batch of its own. The result is a function of the lengths alone.
func cutBatches(lengths []int32, lo, hi, budget int, cost func(n int) int) []batch {
	order := make([]int, 0, hi-lo)
	for row := lo; row < hi; row++ {
		order = append(order, row)
	}
	length := func(i int) int { return int(lengths[order[i]]) }
	sort.SliceStable(order, func(i, j int) bool { return length(i) < length(j) })
	var out []batch
	for start := 0; start < len(order); {
		end := start + 1
		for end < len(order) && (end-start+1)*cost(length(end)) <= budget {
			end++
		}
		out = append(out, batch{rows: order[start:end], steps: length(end - 1)})
		start = end
	}
	return out
}
