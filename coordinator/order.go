package coordinator

import (
	"cmp"
	"slices"
)

// order is the units that were not seen done yet, by this node's own score for them,
// best first. The weight scales all scores of a node alike, so the order never changes;
// it only gets shorter.
type order struct {
	units []int32
	done  int // units left out
}

// newOrder sorts the units of a run for one node.
func newOrder(seed uint64, units int) order {
	type scored struct {
		unit  int32
		score float64
	}
	all := make([]scored, units)
	for u := range all {
		all[u] = scored{int32(u), score(seed, u, 1)}
	}
	slices.SortFunc(all, func(a, b scored) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.unit, b.unit)) })
	o := order{units: make([]int32, units)}
	for i, s := range all {
		o.units[i] = s.unit
	}
	return o
}

// shorten leaves out what is done, when that is an eighth of the list: so the list is
// read past few units in vain, and rewritten seldom.
func (o *order) shorten(done bitmap) {
	n := done.count()
	if 8*(n-o.done) <= len(o.units) {
		return
	}
	o.units = slices.DeleteFunc(o.units, func(u int32) bool { return done.has(int(u)) })
	o.done = n
}
