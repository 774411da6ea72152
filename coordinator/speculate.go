package coordinator

import (
	"maps"
	"slices"
	"time"
)

// chooseSpeculative picks, when no open unit is left, among the units that other live
// nodes work on: the one whose backup may start soonest, of those the one that would
// take longest without. (Speculative execution, as in MapReduce, section 3.6: the last
// units of a run do not wait for the slowest node.)
func chooseSpeculative(cfg *Config, o *observation) choice {
	best := choice{unit: -1}
	var longest time.Duration
	units := make([]int, 0, len(o.held))
	for u := range o.held {
		units = append(units, u)
	}
	slices.Sort(units)
	for _, u := range units {
		if _, mine := o.mine[u]; mine {
			continue
		}
		c, remaining := o.backup(cfg, u)
		sooner := best.unit < 0 || o.wait(c.at) < o.wait(best.at)
		if sooner || o.wait(c.at) == o.wait(best.at) && remaining > longest {
			best, longest = c, remaining
		}
	}
	return best
}

func (o *observation) wait(at time.Time) time.Duration { return max(0, at.Sub(o.now)) }

// backup says when this node may start a unit that others work on: when all of
// them are late, or, if one only is at it and the budget allows, when this node
// would finish sooner than the other one.
func (o *observation) backup(cfg *Config, unit int) (choice, time.Duration) {
	c := choice{unit: unit}
	remaining := time.Duration(1<<63 - 1)
	for _, h := range o.held[unit] {
		expect := o.nodes[h.node].expect
		if late := h.seen.Add(o.nodes[h.node].late(cfg)); late.After(c.at) {
			c.at = late
		}
		remaining = min(remaining, remains(o.now.Sub(h.seen), expect))
		c.attempt = max(c.attempt, h.attempt)
	}
	c.attempt = min(c.attempt+1, maxAttempt) // what others say may be anything
	if at, ok := o.fasterFrom(unit); ok && at.Before(c.at) {
		c.at, c.speculative = at, true
	}
	if c.at.Before(o.idle) {
		c.at = o.idle
	}
	c.at = c.at.Add(o.stagger(cfg, o.idleAhead(unit)))
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

// fasterFrom returns from when on this node would finish a unit sooner than the one
// that works on it; false when two are at it, the budget is spent, or it never
// will before the unit is late anyway.
func (o *observation) fasterFrom(unit int) (time.Time, bool) {
	holds := o.held[unit]
	if len(holds) != 1 || o.budget <= 0 || !o.nodes[0].known {
		return time.Time{}, false
	}
	h, mine := holds[0], o.nodes[0].expect
	theirs := o.nodes[h.node].expect
	left := remains(o.now.Sub(h.seen), theirs)
	if left > mine || left > theirs/2 && o.nodes[h.node].own && o.mayTry() {
		return h.seen, true
	}
	return h.seen.Add(theirs + mine), true
}

// mayTry reports whether this node should work on what another one has half a unit or
// more to do of, without knowing that it is the faster one: since it has never finished
// a unit, it may be any times faster, and has nothing else to do. One idle node at a
// time tries, and all agree which.
func (o *observation) mayTry() bool {
	return !o.nodes[0].own && o.idleAhead(slices.Min(slices.Collect(maps.Keys(o.held)))) == 0
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
func (o *observation) idleAhead(unit int) int {
	me := o.nodes[0]
	mine := score(me.seed, unit, me.weight)
	idle := 0
	for _, n := range o.nodes[1:] {
		if n.free && before(score(n.seed, unit, n.weight), mine, n.id, me.id) {
			idle++
		}
	}
	return idle
}
