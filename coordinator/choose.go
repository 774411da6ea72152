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
const shortlist = 256

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
	unit     int
	score    float64
	rank     int
	wait     time.Duration
	reopened bool
	at       time.Time
}

// chooseOpen picks among the units that nobody alive has claimed: whatever may
// start soonest, of those the best rank, never claimed ones before those of a dead
// node (it might still come back and commit), then by score.
func chooseOpen(cfg *Config, l *look) choice {
	list := openUnits(l)
	for i := range list {
		list[i].judge(cfg, l)
	}
	if len(list) == 0 {
		return choice{unit: -1}
	}
	best := slices.MinFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.wait, b.wait), cmp.Compare(a.rank, b.rank),
			cmp.Compare(order(a.reopened), order(b.reopened)), cmp.Compare(b.score, a.score))
	})
	return choice{unit: best.unit, at: best.at, attempt: 1 + order(best.reopened)}
}

func order(b bool) int {
	if b {
		return 1
	}
	return 0
}

// openUnits lists the unclaimed open units of highest own score.
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

// judge fills in rank and time. The rank counts the nodes before this one that
// could start the unit, that is the idle ones; who is not the owner has rank 1 at
// least, since the owner may be about to become idle.
func (c *candidate) judge(cfg *Config, l *look) {
	ahead, idle := l.ahead(c.unit)
	c.rank = idle
	if ahead > 0 {
		c.rank = max(1, idle)
	}
	since := l.idle
	opened, ok := l.opened[c.unit]
	if c.reopened = ok; ok && opened.After(since) {
		since = opened
	}
	c.at = since.Add(l.stagger(cfg, c.rank))
	c.wait = max(0, c.at.Sub(l.now))
}

// ahead counts the live nodes that go before this one for a unit, and the idle ones
// among them.
func (l *look) ahead(unit int) (all, idle int) {
	me := l.nodes[0]
	mine := score(me.seed, unit, me.weight)
	for _, n := range l.nodes[1:] {
		if before(score(n.seed, unit, n.weight), mine, n.id, me.id) {
			all++
			idle += order(n.free)
		}
	}
	return all, idle
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
		if late := h.seen.Add(time.Duration(cfg.Late * float64(expect))); late.After(c.at) {
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
	_, idle := l.ahead(unit)
	c.at = c.at.Add(l.stagger(cfg, idle))
	return c, remaining
}

// profit returns from when on this node would finish a unit sooner than the one
// that works on it; false when two are at it, the budget is spent, or it never
// will before the unit is late anyway.
func (l *look) profit(unit int) (time.Time, bool) {
	holds := l.held[unit]
	if len(holds) != 1 || l.spare <= 0 {
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
