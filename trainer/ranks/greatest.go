package ranks

import (
	"cmp"
	"slices"
)

// Greatest finds the k-th greatest of unsigned numbers that lie on several ranks, or the least when there are fewer:
// all above it are among the k, and of those equal to it the first share of this rank, with the ranks in their order.
// It is a radix selection: three all-reduces of a histogram, whatever k and the numbers are.
func Greatest(r Ranks, v []uint32, k int) (least uint32, share int, err error) {
	if k <= 0 {
		return 0, 0, nil
	}
	above := 0 // numbers greater than any that begins with the bits of least
	for _, d := range digits {
		count := make([]float64, 1<<d.width)
		for _, x := range v {
			if x>>(d.shift+d.width) == least>>(d.shift+d.width) {
				count[x>>d.shift&(1<<d.width-1)]++
			}
		}
		if err := r.AllReduce(nil, count); err != nil {
			return 0, 0, err
		}
		var digit int
		digit, above = reach(count, above, k)
		least |= uint32(digit) << d.shift
	}
	equal := make([]float64, r.World())
	for _, x := range v {
		if x == least {
			equal[r.Rank()]++
		}
	}
	if err := r.AllReduce(nil, equal); err != nil {
		return 0, 0, err
	}
	left := k - above
	for _, n := range equal[:r.Rank()] {
		left -= int(n)
	}
	return least, min(max(left, 0), int(equal[r.Rank()])), nil
}

// digits cut a number, the highest bits first.
var digits = []struct{ shift, width uint }{{21, 11}, {10, 11}, {0, 10}}

// reach is the digit at which the count from the highest one down reaches k, else the lowest that occurs, and what
// is above it.
func reach(count []float64, above, k int) (digit, before int) {
	lowest, under := 0, above
	for d, n := range slices.Backward(count) {
		if n == 0 {
			continue
		}
		lowest, under = d, above
		if above += int(n); above >= k {
			break
		}
	}
	return lowest, under
}

// Rows brings rows that lie on several ranks together: the most with the least keys of those that the ranks offer,
// by rising key. All rows are w long.
func Rows(r Ranks, keys []float64, rows [][]float32, most, w int) (least []float64, all [][]float32, err error) {
	slots := make([]float64, r.World())
	slots[r.Rank()] = float64(len(keys))
	if err := r.AllReduce(nil, slots); err != nil {
		return nil, nil, err
	}
	at, n := 0, 0
	for rank, count := range slots {
		if rank < r.Rank() {
			at += int(count)
		}
		n += int(count)
	}
	every := make([]float64, n)
	copy(every[at:], keys)
	if err := r.AllReduce(nil, every); err != nil {
		return nil, nil, err
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(every[a], every[b]) })
	order = order[:min(most, n)]
	flat := make([]float32, len(order)*w)
	for i, place := range order {
		least = append(least, every[place])
		all = append(all, flat[i*w:(i+1)*w])
		if own := place - at; own >= 0 && own < len(rows) {
			copy(all[i], rows[own])
		}
	}
	return least, all, r.AllReduce([][]float32{flat}, nil)
}
