package coordinator

import (
	"cmp"
	"slices"
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

// shortlist bounds the units that are ranked against all nodes, best own score
// first: ranking every unit of a large run would cost units × nodes logarithms at
// each look. An owned unit almost surely stands there (its own score is the highest
// of all nodes); if not, it is found when the list has shrunk.
const shortlist = 64

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
	for _, c := range openUnits(l) {
		c.judge(cfg, l)
		if best.unit < 0 || c.better(&best) {
			best = c
		}
		if c.rank == 0 && c.turn == 0 && len(l.opened) == 0 {
			break // they come by score: none after it can be better
		}
	}
	return choice{unit: best.unit, at: best.at, attempt: 1 + number(best.reopened)}
}

func (c *candidate) better(o *candidate) bool {
	return cmp.Or(cmp.Compare(c.wait, o.wait), cmp.Compare(c.rank, o.rank),
		cmp.Compare(c.turn, o.turn), cmp.Compare(o.score, c.score)) < 0
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// openUnits lists the unclaimed open units of highest own score, best first.
func openUnits(l *look) []candidate {
	me := l.nodes[0]
	var list []candidate
	for u := range l.units {
		if _, mine := l.mine[u]; mine || l.done.has(u) || len(l.held[u]) > 0 {
			continue
		}
		list = append(list, candidate{unit: u, score: score(me.seed, u, me.weight)})
		if len(list) == 4*shortlist {
			list = shorten(list)
		}
	}
	return shorten(list)
}

// shorten keeps the candidates of highest score.
func shorten(list []candidate) []candidate {
	slices.SortFunc(list, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
	return list[:min(len(list), shortlist)]
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

// idleAhead counts the idle nodes that go before this one for a unit.
func (l *look) idleAhead(unit int) int {
	me := l.nodes[0]
	mine := score(me.seed, unit, me.weight)
	idle := 0
	for _, n := range l.nodes[1:] {
		if n.free && before(score(n.seed, unit, n.weight), mine, n.id, me.id) {
			idle++
		}
	}
	return idle
}

// stagger is r·δ, at most one unit time.
func (l *look) stagger(cfg *Config, rank int) time.Duration {
	unit := l.nodes[0].expect
	if rank == 0 {
		return 0
	}
	return min(time.Duration(rank)*cfg.delta(unit), max(unit, cfg.MinDelta))
}

// chooseTail picks among the units that other live nodes work on, when no open unit
// is left: the one that may be duplicated soonest, of those the one that would take
// longest without.
func chooseTail(cfg *Config, l *look) choice {
	best := choice{unit: -1}
	var longest time.Duration
	units := make([]int, 0, len(l.held))
	for u := range l.held {
		units = append(units, u)
	}
	slices.Sort(units)
	for _, u := range units {
		if _, mine := l.mine[u]; mine {
			continue
		}
		c, remaining := l.duplicate(cfg, u)
		sooner := best.unit < 0 || l.wait(c.at) < l.wait(best.at)
		if sooner || l.wait(c.at) == l.wait(best.at) && remaining > longest {
			best, longest = c, remaining
		}
	}
	return best
}

func (l *look) wait(at time.Time) time.Duration { return max(0, at.Sub(l.now)) }

// duplicate says when this node may start a unit that others work on: when all of
// them are late, or, if one only is at it and the budget allows, when this node
// would finish sooner than the other one.
func (l *look) duplicate(cfg *Config, unit int) (choice, time.Duration) {
	c := choice{unit: unit}
	remaining := time.Duration(1<<63 - 1)
	for _, h := range l.held[unit] {
		expect := l.nodes[h.node].expect
		if late := h.seen.Add(l.nodes[h.node].late(cfg)); late.After(c.at) {
			c.at = late
		}
		remaining = min(remaining, remains(l.now.Sub(h.seen), expect))
		c.attempt = max(c.attempt, h.attempt)
	}
	c.attempt++
	if at, ok := l.profit(unit); ok && at.Before(c.at) {
		c.at, c.spare = at, true
	}
	if c.at.Before(l.idle) {
		c.at = l.idle
	}
	c.at = c.at.Add(l.stagger(cfg, l.idleAhead(unit)))
	return c, remaining
}

// unmeasured multiplies the patience while no unit time has been measured at all.
const unmeasured = 3

// late is how long this node may work on a unit before it counts as lost.
func (p *peer) late(cfg *Config) time.Duration {
	d := time.Duration(cfg.Late * float64(p.expect))
	if !p.known {
		d *= unmeasured
	}
	return d
}

// profit returns from when on this node would finish a unit sooner than the one
// that works on it; false when two are at it, the budget is spent, or it never
// will before the unit is late anyway.
func (l *look) profit(unit int) (time.Time, bool) {
	holds := l.held[unit]
	if len(holds) != 1 || l.spare <= 0 || !l.nodes[0].known {
		return time.Time{}, false
	}
	h, mine := holds[0], l.nodes[0].expect
	theirs := l.nodes[h.node].expect
	if remains(l.now.Sub(h.seen), theirs) > mine {
		return h.seen, true
	}
	return h.seen.Add(theirs + mine), true
}

// remains estimates how long a unit of the given age and expected time still takes:
// the rest of the expected time, and once that is over, as long again as it is
// overdue (the longer something is late, the longer it will be).
func remains(age, expect time.Duration) time.Duration {
	if age <= expect {
		return expect - age
	}
	return age - expect
}
