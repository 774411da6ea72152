package stream

import (
	"context"
	"fmt"
	"math"

	"actfleet/trainer/coder"
)

// What becomes of sinks (coder.Norms).
const (
	DropSinks = "drop" // they are left out
	ClipSinks = "clip" // their vectors are shortened to the median norm
	KeepSinks = "keep" // they are handed out, marked in Batch.Sink
)

// scanRows is how many rows are looked at, row group by row group.
const scanRows = 8192

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
		out = append(out, coder.NormsOf(name, norms[c], pos))
	}
	return out, nil
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
