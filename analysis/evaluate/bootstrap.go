package evaluate

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Bootstrap says how to resample. The zero value is 1000 resamples at the 95 %
// level with seed 0: 1000 keeps the ends of a percentile interval steady to a
// tenth of its width, and more changes no decision.
type Bootstrap struct {
	Replicates int     // number of resamples; 0 means 1000
	Level      float64 // coverage aimed at; 0 means 0.95
	Seed       uint64  // resamples are a pure function of the seed and of the number of groups
}

func (b Bootstrap) withDefaults() Bootstrap {
	if b.Replicates == 0 {
		b.Replicates = 1000
	}
	if b.Level == 0 {
		b.Level = 0.95
	}
	return b
}

// Each draws as many groups as there are, with replacement, once per
// replicate, and calls stat with the number of times each group was drawn. It
// returns the values in the order of the replicates; stat must not keep count.
func (b Bootstrap) Each(groups int, stat func(count []int32) float64) []float64 {
	b = b.withDefaults()
	if groups <= 0 {
		return nil
	}
	rng := rand.New(rand.NewPCG(b.Seed, 0x61637466)) // the stream of this purpose: "actf"
	count, out := make([]int32, groups), make([]float64, b.Replicates)
	for r := range out {
		clear(count)
		for range groups {
			count[rng.IntN(groups)]++
		}
		out[r] = stat(count)
	}
	return out
}

// AUROC is the clustered percentile interval of the AUROC: whole groups are
// resampled. Resamples with one class only are left out; where the point is
// perfect, PerfectAUROC replaces a bootstrap that cannot vary. The interval is
// widened where needed to hold the point.
func (b Bootstrap) AUROC(scores []float64, positive []bool, group []int32) Interval {
	b = b.withDefaults()
	r := rank(scores, positive, group)
	point := r.auroc(nil)
	if math.IsNaN(point) {
		return Undefined
	}
	if point == 0 || point == 1 {
		pos, neg := groupsByClass(positive, group)
		return PerfectAUROC(point, pos, neg, b.Level)
	}
	return percentile(b.Each(countGroups(group), r.auroc), b.Level).include(point)
}

// percentile is the central interval of the values that are numbers.
func percentile(values []float64, level float64) Interval {
	v := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(v) == 0 {
		return Undefined
	}
	slices.Sort(v)
	return Interval{quantile(v, (1-level)/2), quantile(v, (1+level)/2)}
}

// quantile interpolates linearly between order statistics (Hyndman and Fan's
// type 7); sorted is not empty.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(math.Floor(at))
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func countGroups(group []int32) int {
	n := int32(0)
	for _, g := range group {
		n = max(n, g+1)
	}
	return int(n)
}

func groupsByClass(positive []bool, group []int32) (pos, neg int) {
	seen := [2]map[int32]bool{{}, {}}
	for i, p := range positive {
		class := 0
		if p {
			class = 1
		}
		seen[class][group[i]] = true
	}
	return len(seen[1]), len(seen[0])
}

// GroupIndex numbers group names in order of first appearance, as the
// functions of this package take groups.
func GroupIndex[T comparable](names []T) []int32 {
	index := make(map[T]int32, len(names))
	out := make([]int32, len(names))
	for i, name := range names {
		id, ok := index[name]
		if !ok {
			id = int32(len(index))
			index[name] = id
		}
		out[i] = id
	}
	return out
}
