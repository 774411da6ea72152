package evaluate

import (
	"math"
	"slices"
)

// AUROC is the probability that a row of the positive class scores higher than
// a row of the negative class, ties counted one half: the Mann-Whitney U over
// the number of pairs. It is NaN when a class is empty or a score is NaN.
func AUROC(scores []float64, positive []bool) float64 {
	r := rank(scores, positive, nil)
	return r.auroc(nil)
}

// ranking is a sample sorted by score. Because only labels and groups are kept
// in that order, a resample of groups needs one pass and no second sort.
type ranking struct {
	positive []bool
	group    []int32
	tieEnd   []bool // tieEnd[i]: the next score is larger, so the tie block ends here
	undef    bool   // a score was NaN
}

func rank(scores []float64, positive []bool, group []int32) *ranking {
	order := ascending(scores)
	r := &ranking{positive: make([]bool, len(order)), group: make([]int32, len(order)), tieEnd: make([]bool, len(order))}
	for i, j := range order {
		r.positive[i] = positive[j]
		if group != nil {
			r.group[i] = group[j]
		}
		r.tieEnd[i] = i+1 == len(order) || scores[order[i+1]] != scores[j]
		r.undef = r.undef || math.IsNaN(scores[j])
	}
	return r
}

func ascending(scores []float64) []int {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case scores[a] < scores[b]:
			return -1
		case scores[a] > scores[b]:
			return 1
		}
		return a - b
	})
	return order
}

// auroc counts each row weight[group] times; a nil weight counts each row once.
func (r *ranking) auroc(weight []int32) float64 {
	if r.undef {
		return math.NaN()
	}
	var pairs, below, pos, tiePos, tieNeg float64 // pairs won, negatives below the block, positives so far
	for i, positive := range r.positive {
		w := 1.0
		if weight != nil {
			w = float64(weight[r.group[i]])
		}
		if positive {
			tiePos += w
		} else {
			tieNeg += w
		}
		if r.tieEnd[i] {
			pairs += tiePos * (below + tieNeg/2)
			below, pos = below+tieNeg, pos+tiePos
			tiePos, tieNeg = 0, 0
		}
	}
	if pos == 0 || below == 0 {
		return math.NaN()
	}
	return pairs / (pos * below)
}
