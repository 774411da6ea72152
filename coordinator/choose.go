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
	// spare is set for a unit that a live node works on in good time, but slowly.
	spare bool
}

// maxShortlist bounds the units of others that are judged in full, those with the best
// own scores: far more than there are idle nodes to compete for them.
const maxShortlist = 64

// choose picks the unit to start next, or to wait for. It reads nothing but its
// arguments.
func choose(cfg *Config, l *look) choice {
	if best := chooseOpen(cfg, l); best.unit >= 0 {
		return best
	}
	return chooseTail(cfg, l)
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
func chooseOpen(cfg *Config, l *look) choice {
	best := candidate{unit: -1}
	consider := func(u int) {
		c := candidate{unit: u, score: l.score(u)}
		c.judge(cfg, l)
		if best.unit < 0 || c.better(&best) {
			best = c
		}
	}
	for u := range l.opened {
		if l.open(u) {
			consider(u)
		}
	}
	for _, u := range l.shortlist() {
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

// open reports whether nobody alive works on a unit that is not done.
func (l *look) open(u int) bool {
	_, mine := l.mine[u]
	return !mine && !l.done.has(u) && len(l.held[u]) == 0
}

// score is this node's own for a unit.
func (l *look) score(u int) float64 { return score(l.nodes[0].seed, u, l.nodes[0].weight) }

// owns reports whether this node is the owner of a unit.
func (l *look) owns(u int) bool {
	me, mine := &l.nodes[0], l.score(u)
	for i := range l.nodes[1:] {
		if n := &l.nodes[i+1]; before(score(n.seed, u, n.weight), mine, n.id, me.id) {
			return false
		}
	}
	return true
}

// shortlist returns the open units of highest own score that were never claimed; of
// them only the first that this node owns, if there is one. Each node thus goes through
// its units in an order of its own, and those it is most surely the owner of come first.
// The search is short while the node owns any: of what is left, its own stand in front.
func (l *look) shortlist() []int {
	var list []int
	for _, u := range l.order {
		unit := int(u)
		if _, reopened := l.opened[unit]; reopened || !l.open(unit) {
			continue
		}
		if l.owns(unit) {
			return []int{unit}
		}
		if len(list) < maxShortlist {
			list = append(list, unit)
		}
	}
	return list
}

// judge fills in rank and time.
func (c *candidate) judge(cfg *Config, l *look) {
	c.rank = l.rank(c.unit)
	since := l.idle
	opened, ok := l.opened[c.unit]
	if ok && opened.After(since) {
		since = opened
	}
	c.at = since.Add(l.stagger(cfg, c.rank))
	c.wait = max(0, c.at.Sub(l.now))
	c.reopened = ok
	switch unit := l.nodes[0].expect; {
	case ok && l.now.Sub(opened) < unit:
		c.turn = 1
	case ok:
		c.turn = -1
	}
}

// rank is this node's rank for a unit among those that could start it: 0 for the
// owner; for others 1, since the owner may be about to become idle, and one more
// for each idle node in between.
func (l *look) rank(unit int) int {
	me := l.nodes[0]
	mine := score(me.seed, unit, me.weight)
	owner, top, idle := 0, mine, 0
	for i, n := range l.nodes[1:] {
		s := score(n.seed, unit, n.weight)
		if !before(s, mine, n.id, me.id) {
			continue
		}
		idle += number(n.free)
		if before(s, top, n.id, l.nodes[owner].id) {
			owner, top = i+1, s
		}
	}
	if owner == 0 {
		return 0
	}
	return 1 + idle - number(l.nodes[owner].free)
}

// stagger is r·δ, at most one unit time.
func (l *look) stagger(cfg *Config, rank int) time.Duration {
	unit := l.nodes[0].expect
	if rank == 0 {
		return 0
	}
	return min(time.Duration(rank)*cfg.delta(unit), max(unit, cfg.MinDelta))
}
