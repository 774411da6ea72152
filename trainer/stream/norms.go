package stream

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"actfleet/trainer/coder"
)

// What becomes of sinks (coder.Norms).
const (
	DropSinks = "drop" // they are left out
	ClipSinks = "clip" // their vectors are shortened to the median norm
	KeepSinks = "keep" // they are handed out, marked in Batch.Sink
)

const (
	// scanRows is how many rows are looked at, row group by row group.
	scanRows = 8192
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

// judges tells whether rows are judged by their norms.
func (c Config) judges() bool { return c.Sinks != "" || c.MaxNorm > 0 }

// scan looks at row groups of the first span, in an order that is always the same, until it has seen enough rows that
// the filter keeps. So the answer is the same for all who read the runs, also while they grow.
func scan(ctx context.Context, groups []group, columns []string) ([]coder.Norms, error) {
	var at slot
	norms, pos := make([][]float64, len(columns)), []int32(nil)
	for _, g := range Shuffled(0, len(groups)) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := at.load(groups[g], Config{}); err != nil {
			return nil, fmt.Errorf("look at unit %d row group %d: %w", groups[g].part.number, groups[g].index, err)
		}
		x := make([]float32, groups[g].part.width)
		for _, row := range at.kept {
			at.decode(x, row)
			at.eachNorm(x, func(c int, norm float64, _ []float32) { norms[c] = append(norms[c], norm) })
			pos = append(pos, at.pos[row])
		}
		if len(pos) >= scanRows {
			break
		}
	}
	var out []coder.Norms
	for c, name := range columns {
		out = append(out, normsOf(name, norms[c], pos))
	}
	return out, nil
}

// normsOf says what is ordinary of the norms of rows at these positions.
func normsOf(column string, norms []float64, pos []int32) coder.Norms {
	n := coder.Norms{Column: column, Rows: len(norms), Median: median(norms)}
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
func sinkPositions(norms []float64, pos []int32, limit float64) (out []coder.SinkPosition) {
	byPos := map[int32][]float64{}
	for i, v := range norms {
		byPos[pos[i]] = append(byPos[pos[i]], v)
	}
	for p, v := range byPos {
		if m := median(v); len(v) >= positionRows && m > limit {
			out = append(out, coder.SinkPosition{Pos: p, Median: m})
		}
	}
	slices.SortFunc(out, func(a, b coder.SinkPosition) int { return cmp.Compare(a.Pos, b.Pos) })
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

// eachNorm hands over the norm of every vector of a row x, and the vector.
func (s *slot) eachNorm(x []float32, use func(c int, norm float64, x []float32)) {
	for c, col := range s.part.columns {
		var square float64
		for _, v := range x[:col.width] {
			square += float64(v) * float64(v)
		}
		use(c, math.Sqrt(square), x[:col.width])
		x = x[col.width:]
	}
}

// clip shortens the vectors of a sink to the median norm.
func (s *slot) clip(x []float32, norms []coder.Norms) {
	s.eachNorm(x, func(c int, norm float64, x []float32) {
		if norm <= norms[c].Median {
			return
		}
		for j := range x {
			x[j] *= float32(norms[c].Median / norm)
		}
	})
}
