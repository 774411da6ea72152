package stream

import (
	"maps"
	"math"
	"slices"
)

// Mixing tells how well the rows of a batch are mixed.
type Mixing struct {
	Units    int     // distinct source units in the batch
	Entropy  float64 // entropy of the source unit, in bits
	Evenness float64 // Entropy over its maximum, log2 of min(units of the stream, rows); 1 is perfect
}

// Measure is the mixing of a batch drawn from a stream of so many units.
func Measure(rows []Key, units int) Mixing {
	count := map[[2]int32]int{}
	for _, r := range rows {
		count[[2]int32{r.Run, r.Unit}]++
	}
	m := Mixing{Units: len(count), Evenness: 1}
	n := float64(len(rows))
	for _, c := range slices.Sorted(maps.Values(count)) { // always added in the same order
		p := float64(c) / n
		m.Entropy -= p * math.Log2(p)
	}
	if top := math.Log2(float64(min(units, len(rows)))); top > 0 {
		m.Evenness = m.Entropy / top
	}
	return m
}
