package coordinator

import (
	"slices"
	"time"
)

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

// unmeasured multiplies the patience with a node that has not finished a unit yet:
// it may be several times slower than the others.
const unmeasured = 3

// late is how long this node may work on a unit before it counts as lost.
func (p *peer) late(cfg *Config) time.Duration {
	d := time.Duration(cfg.Late * float64(p.expect))
	if !p.own {
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
