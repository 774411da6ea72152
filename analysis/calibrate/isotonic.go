package calibrate

import (
	"cmp"
	"slices"
	"sort"
)

// Isotonic is the rising function that is closest to the labels: the least squares fit by pool adjacent violators (Ayer et
// al. 1955), linear between the scores it was fitted to, as in scikit-learn.
type Isotonic struct{ at, value []float64 }

// NewIsotonic is fitted to scores and labels; scores that are equal get one value.
func NewIsotonic(score []float64, positive []bool) Isotonic {
	at, weight, sum := tied(score, positive)
	value := pool(weight, sum)
	return Isotonic{at, value}
}

// tied are the distinct scores, rising, with the rows of each and how many of these are positive.
func tied(score []float64, positive []bool) (at, weight, sum []float64) {
	order := make([]int, len(score))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(score[a], score[b]) })
	for _, i := range order {
		if len(at) == 0 || score[i] != at[len(at)-1] {
			at, weight, sum = append(at, score[i]), append(weight, 0), append(sum, 0)
		}
		weight[len(at)-1]++
		sum[len(at)-1] += float64(class(positive[i]))
	}
	return at, weight, sum
}

// pool is the rising sequence closest to sum/weight.
func pool(weight, sum []float64) []float64 {
	var blocks []block // next counts the points of each
	for i := range weight {
		b := block{weight[i], sum[i], 1}
		for n := len(blocks); n > 0 && blocks[n-1].above(b); n-- {
			last := blocks[n-1]
			b = block{b.weight + last.weight, b.sum + last.sum, b.next + last.next}
			blocks = blocks[:n-1]
		}
		blocks = append(blocks, b)
	}
	value := make([]float64, 0, len(weight))
	for _, b := range blocks {
		for range b.next {
			value = append(value, b.sum/b.weight)
		}
	}
	return value
}

// Value is the function at a score; beyond the scores it was fitted to it is level.
func (f Isotonic) Value(score float64) float64 {
	i := sort.SearchFloat64s(f.at, score)
	switch {
	case i == len(f.at):
		return f.value[i-1]
	case i == 0 || f.at[i] == score:
		return f.value[i]
	}
	share := (score - f.at[i-1]) / (f.at[i] - f.at[i-1])
	return f.value[i-1] + share*(f.value[i]-f.value[i-1])
}

// VennAbers gives two probabilities of label 1, of which one is calibrated (Vovk and Petej 2014, arXiv:1211.0025).
type VennAbers struct {
	at, weight, sum []float64
	left            []block // left[i] is the last block of the fit to the first i+1 scores
	right           []block // right[i] is the first block of the fit to those from i on
}

// block is some neighbouring scores that have one value; next is the first one beyond it, to the left or to the right.
type block struct {
	weight, sum float64
	next        int
}

// above tells whether a block's value is at least another's.
func (b block) above(c block) bool { return b.sum*c.weight >= c.sum*b.weight }

// take pools a block with another one, beyond which it goes on.
func (b *block) take(c block) {
	b.weight, b.sum, b.next = b.weight+c.weight, b.sum+c.sum, c.next
}

// NewVennAbers is fitted to scores and labels.
func NewVennAbers(score []float64, positive []bool) VennAbers {
	v := VennAbers{}
	v.at, v.weight, v.sum = tied(score, positive)
	n := len(v.at)
	v.left, v.right = make([]block, n), make([]block, n)
	for i := range n {
		b := block{v.weight[i], v.sum[i], i - 1}
		for b.next >= 0 && v.left[b.next].above(b) {
			b.take(v.left[b.next])
		}
		v.left[i] = b
	}
	for i := n - 1; i >= 0; i-- {
		b := block{v.weight[i], v.sum[i], i + 1}
		for b.next < n && b.above(v.right[b.next]) {
			b.take(v.right[b.next])
		}
		v.right[i] = b
	}
	return v
}

// Interval is the value at a score of the isotonic fit to the calibration rows and this score, once with label 0 and once
// with label 1. It takes time for the blocks that the score is pooled with, not for all calibration rows: what lies to its
// left is pooled already as without it, and so is what lies to its right.
func (v VennAbers) Interval(score float64) (p0, p1 float64) {
	return v.with(score, 0), v.with(score, 1)
}

func (v VennAbers) with(score, label float64) float64 {
	right, found := slices.BinarySearch(v.at, score)
	left, b := right-1, block{weight: 1, sum: label}
	if found {
		b.weight, b.sum = b.weight+v.weight[right], b.sum+v.sum[right]
		right++
	}
	for {
		switch {
		case left >= 0 && v.left[left].above(b):
			b.take(v.left[left])
			left = b.next
		case right < len(v.at) && b.above(v.right[right]):
			b.take(v.right[right])
			right = b.next
		default:
			return b.sum / b.weight
		}
	}
}

// Value is one probability of the two, p1/(1−p0+p1), which minimises the worst log loss.
func (v VennAbers) Value(score float64) float64 {
	p0, p1 := v.Interval(score)
	return p1 / (1 - p0 + p1)
}
