package coordinator

import (
	"cmp"
	"slices"
)

// preference is the units that were not seen done yet in the order in which this node
// would take them: by its own score, best first. The weight scales all scores of a node
// alike, so the order never changes; it only gets shorter.
type preference struct {
	units []int32
	done  int // units left out
}

// newPreference sorts the units of a run for one node.
func newPreference(seed uint64, units int) preference {
	type scored struct {
		unit  int32
		score float64
	}
	all := make([]scored, units)
	for u := range all {
		all[u] = scored{int32(u), score(seed, u, 1)}
	}
	slices.SortFunc(all, func(a, b scored) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.unit, b.unit)) })
	p := preference{units: make([]int32, units)}
	for i, s := range all {
		p.units[i] = s.unit
	}
	return p
}

// shorten leaves out what is done, when that is an eighth of the list: so the list is
// read past few units in vain, and rewritten seldom.
func (p *preference) shorten(done bitmap) {
	n := done.count()
	if 8*(n-p.done) <= len(p.units) {
		return
	}
	p.units = slices.DeleteFunc(p.units, func(u int32) bool { return done.has(int(u)) })
	p.done = n
}
