package collector

import (
	"fmt"
	"slices"

	"actfleet/shard"
	"actfleet/shard/run"
)

// ringUnits is how many units are aimed at in a ring: three of the spans in which trainings read unless told otherwise.
// With fewer than minUnitPrompts prompts in a unit there are leastRingUnits.
const (
	ringUnits      = 3 * 64
	leastRingUnits = 8
)

// stored is what a row costs in a ring at most: F32 where the plan leaves the dtype open, since any unit may become it.
// Strings are taken to be short.
func stored(p run.Plan) (bytes int64) {
	vectors := slices.Clone(p.Vectors)
	for i := range vectors {
		if p.Dtype == "auto" && vectors[i].Dtype == shard.F16 {
			vectors[i].Dtype = shard.F32
		}
	}
	const scalar = 12
	return rowBytes(vectors) + scalar*int64(len(p.Scalars))
}

// ringBytes is how much a ring holds of the vectors as the plan has them; 0 without a ring.
func ringBytes(r *run.Ring, p run.Plan) int64 {
	if r == nil {
		return 0
	}
	return max(1, int64(float64(r.Bytes)*float64(rowBytes(p.Vectors))/float64(stored(p))))
}

// unitFrame is what a shard has beside its rows: page headers and footer, for as many rows as a group has.
const unitFrame = 16 << 10

// planRing is the ring of a plan whose units are cut, of prompts that become so many rows each: so many of the largest
// unit fit into its bytes.
func planRing(ask *run.Ring, p run.Plan, kept []int32) (*run.Ring, error) {
	if ask == nil {
		return nil, nil
	}
	r := &run.Ring{Bytes: ask.Bytes, Readers: slices.Sorted(slices.Values(ask.Readers))}
	var most int64
	for u := range p.NumUnits() {
		lo, hi := p.UnitRange(u)
		var rows int64
		for _, n := range kept[lo:hi] {
			rows += int64(n)
		}
		r.Rows += rows
		groups := (rows + shard.RowGroupRows - 1) / shard.RowGroupRows
		most = max(most, rows*stored(p)+unitFrame*(groups+1))
	}
	r.Units = int(min(r.Bytes/max(most, 1), shard.MaxUnits))
	if r.Units < run.MinRingUnits {
		return r, fmt.Errorf("a ring of %d bytes is too small: it must hold %d units of up to %d bytes", r.Bytes, run.MinRingUnits, most)
	}
	return r, nil
}
