package coder

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Norms says how long the vectors of a column ordinarily are, from a sample of rows. Rows far beyond that are sinks: the
// tokens, mostly the first of a prompt, on which attention rests when it has nothing to look at, and whose vectors are a
// hundred times as long as others. They would decide every mean over rows.
type Norms struct {
	Column    string         `json:"column"`
	Rows      int            `json:"rows"`   // of the sample
	Median    float64        `json:"median"` // of the norms
	MAD       float64        `json:"mad"`    // median of the norms' distances from it
	Limit     float64        `json:"limit"`  // the norm above which a row is a sink; 0 is none
	Sinks     int            `json:"sinks"`  // in the sample
	Positions []SinkPosition `json:"positions,omitempty"`
}

// SinkPosition is a token position whose rows are sinks together: their median norm is above the limit.
type SinkPosition struct {
	Pos    int32   `json:"pos"`
	Median float64 `json:"median"`
}

// Sink tells whether a row is one, by its norm and its token position.
func (n Norms) Sink(norm float64, pos int32) bool { return n.Limit > 0 && norm > n.Limit || n.At(pos) }

// At tells whether a token position's rows are sinks together.
func (n Norms) At(pos int32) bool {
	return slices.ContainsFunc(n.Positions, func(p SinkPosition) bool { return p.Pos == pos })
}

// String is what the sample shows, for people.
func (n Norms) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d of %d rows looked at (%.2g %%) are sinks, longer than %.4g, the median is %.4g",
		n.Column, n.Sinks, n.Rows, 100*float64(n.Sinks)/float64(max(n.Rows, 1)), n.Limit, n.Median)
	for _, p := range n.Positions {
		fmt.Fprintf(&b, "; position %d has the median %.4g", p.Pos, p.Median)
	}
	return b.String()
}

const (
	// A norm is extreme above so many medians, and above so many standard deviations of a normal distribution with the
	// sample's MAD, of which the second is for columns whose norms are widely spread. A token position's median says more
	// than one row does; a row is judged the more strictly the fewer there are like it.
	rareMedians, frequentMedians, rowDeviations = 3, 10, 20
	positionMedians, positionDeviations         = 3, 10
	// rareShare is the share of the rows up to which rows off the sink positions are rare: in early layers a frequent
	// word may have vectors several times as long as others, which are ordinary.
	rareShare  = 1e-3
	madToSigma = 1.4826
	// positionRows is how many rows of a position tell its median.
	positionRows = 8
)

// NormsOf says what is ordinary of the norms of rows at these positions.
func NormsOf(column string, norms []float64, pos []int32) Norms {
	n := Norms{Column: column, Rows: len(norms), Median: median(norms)}
	off := make([]float64, len(norms))
	for i, v := range norms {
		off[i] = math.Abs(v - n.Median)
	}
	n.MAD = median(off)
	if n.Median == 0 { // most vectors are 0: no length is extreme
		return n
	}
	extreme := func(medians, deviations float64) float64 {
		return max(medians*n.Median, n.Median+deviations*madToSigma*n.MAD)
	}
	n.Positions = sinkPositions(norms, pos, extreme(positionMedians, positionDeviations))
	alone := func(limit float64) (rows int) { // off the sink positions
		for i, v := range norms {
			if v > limit && !n.At(pos[i]) {
				rows++
			}
		}
		return rows
	}
	n.Limit = extreme(rareMedians, rowDeviations)
	if float64(alone(n.Limit)) > rareShare*float64(n.Rows) {
		n.Limit = extreme(frequentMedians, rowDeviations)
	}
	for i, v := range norms {
		if n.Sink(v, pos[i]) {
			n.Sinks++
		}
	}
	return n
}

// sinkPositions are those with a median norm above a limit, in order.
func sinkPositions(norms []float64, pos []int32, limit float64) (out []SinkPosition) {
	byPos := map[int32][]float64{}
	for i, v := range norms {
		byPos[pos[i]] = append(byPos[pos[i]], v)
	}
	for p, v := range byPos {
		if m := median(v); len(v) >= positionRows && m > limit {
			out = append(out, SinkPosition{Pos: p, Median: m})
		}
	}
	slices.SortFunc(out, func(a, b SinkPosition) int { return cmp.Compare(a.Pos, b.Pos) })
	return out
}

// median is the upper one of an even number of values; 0 of none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
