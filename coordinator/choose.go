package coordinator

import (
	"cmp"
	"time"
)

// choice is a unit this node may start, and when.
type choice struct {
	unit    int // -1: none
	at      time.Time
	attempt int
	// speculative is set for a unit that a live node works on in good time, but slowly.
	speculative bool
}

// maxShortlist bounds the units of others that are judged in full, those with the best
// own scores: far more than there are idle nodes to compete for them.
const maxShortlist = 64

// choose picks the unit to start next, or to wait for. It reads nothing but its
// arguments.
func choose(cfg *Config, o *observation) choice {
	if best := chooseOpen(cfg, o); best.unit >= 0 {
		return best
	}
	return chooseSpeculative(cfg, o)
}

// candidate is an open unit with all that orders it.
type candidate struct {
	unit  int
	score float64
	at    time.Time
	wait  time.Duration
	rank  int
	// reopened is set when the unit was claimed by a node that is gone. Its turn is
	// after the others for one unit time, in which the node might come back and
	// commit, and before them from then on.
	reopened bool
	turn     int
}

// chooseOpen picks among the units that nobody alive has claimed: whatever may
// start soonest, of those the best rank, then by turn, then by score.
func chooseOpen(cfg *Config, o *observation) choice {
	best := candidate{unit: -1}
	consider := func(u int) {
		c := candidate{unit: u, score: o.score(u)}
		c.judge(cfg, o)
		if best.unit < 0 || c.better(&best) {
			best = c
		}
	}
	for u := range o.opened {
		if o.open(u) {
			consider(u)
		}
	}
	for _, u := range o.shortlist() {
		consider(u)
	}
	return choice{unit: best.unit, at: best.at, attempt: 1 + number(best.reopened)}
}

func (c *candidate) better(o *candidate) bool {
	return cmp.Or(cmp.Compare(c.wait, o.wait), cmp.Compare(c.rank, o.rank), cmp.Compare(c.turn, o.turn),
		cmp.Compare(o.score, c.score), cmp.Compare(c.unit, o.unit)) < 0
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// open reports whether nobody alive works on a unit that is not done and may be started.
func (o *observation) open(u int) bool {
	_, mine := o.mine[u]
	return u < o.limit && !mine && !o.done.has(u) && len(o.held[u]) == 0
}

// score is this node's own for a unit.
func (o *observation) score(u int) float64 { return score(o.nodes[0].seed, u, o.nodes[0].weight) }

// owns reports whether this node is the owner of a unit.
func (o *observation) owns(u int) bool {
	me, mine := &o.nodes[0], o.score(u)
	for i := range o.nodes[1:] {
		if n := &o.nodes[i+1]; before(score(n.seed, u, n.weight), mine, n.id, me.id) {
			return false
		}
	}
	return true
}

// shortlist returns the open units of highest own score that were never claimed; of
// them only the first that this node owns, if there is one. Each node thus goes through
// its units in an order of its own, and those it is most surely the owner of come first.
// The search is short while the node owns any: of what is left, its own stand in front.
func (o *observation) shortlist() []int {
	var list []int
	for _, u := range o.order {
		unit := int(u)
		if _, reopened := o.opened[unit]; reopened || !o.open(unit) {
			continue
		}
		if o.owns(unit) {
			return []int{unit}
		}
		if len(list) < maxShortlist {
			list = append(list, unit)
		}
	}
	return list
}

// judge fills in rank and time.
func (c *candidate) judge(cfg *Config, o *observation) {
	c.rank = o.rank(c.unit)
	since := o.idle
	opened, ok := o.opened[c.unit]
	if ok && opened.After(since) {
		since = opened
	}
	c.at = since.Add(o.stagger(cfg, c.rank))
	c.wait = max(0, c.at.Sub(o.now))
	c.reopened = ok
	switch unit := o.nodes[0].expect; {
	case ok && o.now.Sub(opened) < unit:
		c.turn = 1
	case ok:
		c.turn = -1
	}
}

// rank is this node's rank for a unit among those that could start it: 0 for the
// owner; for others 1, since the owner may be about to become idle, and one more
// for each idle node in between.
func (o *observation) rank(unit int) int {
	me := o.nodes[0]
	mine := score(me.seed, unit, me.weight)
	owner, top, idle := 0, mine, 0
	for i, n := range o.nodes[1:] {
		s := score(n.seed, unit, n.weight)
		if !before(s, mine, n.id, me.id) {
			continue
		}
		idle += number(n.free)
		if before(s, top, n.id, o.nodes[owner].id) {
			owner, top = i+1, s
		}
	}
	if owner == 0 {
		return 0
	}
	return 1 + idle - number(o.nodes[owner].free)
}

// stagger is r·δ, at most one unit time.
func (o *observation) stagger(cfg *Config, rank int) time.Duration {
	unit := o.nodes[0].expect
	if rank == 0 {
		return 0
	}
	return min(time.Duration(rank)*cfg.delta(unit), max(unit, cfg.MinDelta))
}

// delta returns δ for an expected unit time.
func (c *Config) delta(unit time.Duration) time.Duration {
	return min(max(time.Duration(c.Delta*float64(unit)), c.MinDelta), c.MaxDelta)
}
