package coordinator

import (
	"testing"
	"time"
)

var t0 = time.Unix(1000, 0)

// scene is an observation of node "me" at a fleet in which all are alike and take a minute
// for a unit.
func scene(units int, others ...NodeID) *observation {
	o := &observation{now: t0, idle: t0, limit: units, order: newPreference(nodeSeed("plan", "me"), units).units, done: newBitmap(units), held: map[int][]hold{}, mine: map[int]Claim{}, opened: map[int]time.Time{}, budget: 1}
	for i, id := range append([]NodeID{"me"}, others...) {
		o.nodes = append(o.nodes, peer{id: id, seed: nodeSeed("plan", id), weight: 1, expect: time.Minute, known: true, own: true, free: i == 0})
	}
	return o
}

func owners(o *observation) (mine, theirs []int) {
	for u := range len(o.order) {
		if o.rank(u) == 0 {
			mine = append(mine, u)
		} else {
			theirs = append(theirs, u)
		}
	}
	return mine, theirs
}

func TestChooseOwnUnitsFirst(t *testing.T) {
	cfg := DefaultConfig()
	o := scene(40, "other")
	mine, theirs := owners(o)
	for range mine {
		c := choose(&cfg, o)
		if o.rank(c.unit) != 0 || !c.at.Equal(t0) || c.attempt != 1 {
			t.Fatalf("chose %+v", c)
		}
		o.done.set(c.unit)
	}
	c := choose(&cfg, o)
	if c.unit < 0 || o.rank(c.unit) != 1 || !c.at.Equal(t0.Add(2*time.Second)) {
		t.Errorf("of the other's units: %+v, want one after δ = 2 s", c)
	}
	for _, u := range theirs {
		o.done.set(u)
	}
	if c := choose(&cfg, o); c.unit >= 0 {
		t.Errorf("nothing is left, chose %+v", c)
	}
}

func TestChooseReopened(t *testing.T) {
	cfg := DefaultConfig()
	o := scene(40, "other")
	mine, _ := owners(o)
	u := mine[0]
	for _, tc := range []struct {
		since time.Duration
		first bool
	}{{time.Second, false}, {59 * time.Second, false}, {61 * time.Second, true}} {
		o.opened = map[int]time.Time{u: t0.Add(-tc.since)}
		if c := choose(&cfg, o); (c.unit == u) != tc.first {
			t.Errorf("reopened %v ago: chose %d, first: %v", tc.since, c.unit, tc.first)
		}
	}
	for _, v := range mine[1:] {
		o.done.set(v)
	}
	o.opened[u] = t0
	if c := choose(&cfg, o); c.unit != u || c.attempt != 2 || !c.at.Equal(t0) {
		t.Errorf("the only one of mine: %+v", c)
	}
}

func TestChooseSpeculative(t *testing.T) {
	cfg := DefaultConfig()
	tail := func(age time.Duration, theirs time.Duration) *observation {
		o := scene(1, "slow")
		o.nodes[1].expect = theirs
		o.held[0] = []hold{{node: 1, attempt: 1, seen: t0.Add(-age)}}
		return o
	}
	for _, tc := range []struct {
		name        string
		age, theirs time.Duration
		budget      int
		now, counts bool
	}{
		{"as fast as me", 10 * time.Second, time.Minute, 1, false, false},
		{"slow, much left", 10 * time.Second, 2 * time.Minute, 1, true, true},
		{"slow, little left", 90 * time.Second, 2 * time.Minute, 1, false, false},
		{"slow, but no budget", 10 * time.Second, 2 * time.Minute, 0, false, false},
		{"overdue by my unit time", 121 * time.Second, time.Minute, 1, true, true},
		{"overdue, no budget", 121 * time.Second, time.Minute, 0, false, false},
		{"late", 181 * time.Second, time.Minute, 0, true, false},
	} {
		o := tail(tc.age, tc.theirs)
		o.budget = tc.budget
		o.idle = t0.Add(-time.Hour)
		c := choose(&cfg, o)
		wait := o.idleAhead(0) * 2
		now := !c.at.After(t0.Add(time.Duration(wait) * time.Second))
		if c.unit != 0 || now != tc.now || now && c.speculative != tc.counts {
			t.Errorf("%s: %+v (now %v)", tc.name, c, now)
		}
	}
	for _, tc := range []struct {
		age time.Duration
		now bool
	}{{30 * time.Second, true}, {80 * time.Second, false}} {
		o := tail(tc.age, 2*time.Minute)
		o.budget, o.idle, o.nodes[0].own, o.nodes[0].expect = 1, t0.Add(-time.Hour), false, 2*time.Minute
		c := choose(&cfg, o)
		if now := c.speculative && !c.at.After(t0.Add(2*time.Second)); now != tc.now {
			t.Errorf("never finished one, after %s of two minutes: %+v, now %v", tc.age, c, now)
		}
	}
	o := tail(10*time.Second, 5*time.Minute)
	o.held[0] = append(o.held[0], hold{node: 1, attempt: 2, seen: t0.Add(-time.Second)})
	if c := choose(&cfg, o); !c.at.After(t0) || c.speculative {
		t.Errorf("two are at it already: %+v", c)
	}
	o = tail(10*time.Second, 5*time.Minute)
	o.nodes[0].known, o.nodes[1].known, o.nodes[1].own = false, false, false
	if c := choose(&cfg, o); c.speculative || c.at.Before(t0.Add(3*5*time.Minute)) {
		t.Errorf("nothing is measured: %+v", c)
	}
}

func TestChooseFromMany(t *testing.T) {
	cfg := DefaultConfig()
	o := scene(3000, "b", "c", "d")
	seen := map[int]bool{}
	for range 600 {
		c := choose(&cfg, o)
		if c.unit < 0 || seen[c.unit] || !c.at.Equal(t0) {
			t.Fatalf("after %d units: %+v", len(seen), c)
		}
		seen[c.unit] = true
		o.done.set(c.unit)
	}
}

func BenchmarkChoose(b *testing.B) {
	cfg := DefaultConfig()
	o := scene(10000)
	for i := range 99 {
		id := NodeID(rune('a' + i))
		o.nodes = append(o.nodes, peer{id: id, seed: nodeSeed("plan", id), weight: 1, expect: time.Minute, free: i%2 == 0})
	}
	for b.Loop() {
		choose(&cfg, o)
	}
}
