package calibrate

import (
	"math"
	"slices"
)

// Conformal excludes labels: split conformal prediction with the score 1 − P(label) (Vovk, Gammerman and Shafer 2005;
// Sadinle, Lei and Wasserman 2019).
type Conformal struct {
	limit [2]float64 // the greatest score of either label that stays in the set
}

// NewConformal is fitted to the probabilities and labels of calibration rows. The limit is the ⌈(n+1)(1−α)⌉-th smallest
// score, of all rows or (mondrian) of those of each label; with fewer rows than that nothing is ever excluded.
func NewConformal(p []float64, positive []bool, alpha float64, mondrian bool) Conformal {
	var scores [2][]float64
	for i, v := range p {
		k := class(positive[i])
		scores[k] = append(scores[k], 1-ofLabel(v, k == 1))
	}
	if !mondrian {
		all := append(scores[0], scores[1]...)
		scores = [2][]float64{all, all}
	}
	return Conformal{[2]float64{limit(scores[0], alpha), limit(scores[1], alpha)}}
}

func limit(scores []float64, alpha float64) float64 {
	const rounding = 1e-9 // (n+1)(1−α) may miss a whole number by this much
	rank := int(math.Ceil(float64(len(scores)+1)*(1-alpha) - rounding))
	if rank > len(scores) {
		return math.Inf(1)
	}
	return slices.Sorted(slices.Values(scores))[max(rank, 1)-1]
}

// Set tells which labels a row of probability p may have.
func (c Conformal) Set(p float64) (negative, positive bool) {
	return 1-ofLabel(p, false) <= c.limit[0], 1-ofLabel(p, true) <= c.limit[1]
}

// ofLabel is the probability of a label, given that of label 1.
func ofLabel(p float64, label bool) float64 {
	if label {
		return p
	}
	return 1 - p
}

func class(label bool) int {
	if label {
		return 1
	}
	return 0
}

// OnePerGroup is the index of one row of each group, in the order in which groups first occur: the row with the least
// hash of its number, so that none is preferred.
func OnePerGroup(group []string) (rows []int) {
	place := map[string]int{}
	for i, g := range group {
		at, ok := place[g]
		switch {
		case !ok:
			place[g] = len(rows)
			rows = append(rows, i)
		case mix(i) < mix(rows[at]):
			rows[at] = i
		}
	}
	return rows
}

// mix is a hash of a row's number (splitmix64).
func mix(i int) uint64 {
	x := uint64(i) + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
