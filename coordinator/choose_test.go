package coordinator

import (
	"testing"
	"time"
)

var t0 = time.Unix(1000, 0)

// scene is a look of node "me" at a fleet in which all are alike and take a minute
// for a unit.
func scene(units int, others ...NodeID) *look {
	l := &look{now: t0, idle: t0, order: newOrder(nodeSeed("plan", "me"), units).units, done: newBitmap(units), held: map[int][]hold{}, mine: map[int]Claim{}, opened: map[int]time.Time{}, spare: 1}
	for i, id := range append([]NodeID{"me"}, others...) {
		l.nodes = append(l.nodes, peer{id: id, seed: nodeSeed("plan", id), weight: 1, expect: time.Minute, known: true, own: true, free: i == 0})
	}
	return l
}

func owners(l *look) (mine, theirs []int) {
	for u := range len(l.order) {
		if l.rank(u) == 0 {
			mine = append(mine, u)
		} else {
			theirs = append(theirs, u)
		}
	}
	return mine, theirs
}

func TestChooseOwnUnitsFirst(t *testing.T) {
	cfg := DefaultConfig()
	l := scene(40, "other")
	mine, theirs := owners(l)
	for range mine {
		c := choose(&cfg, l)
		if l.rank(c.unit) != 0 || !c.at.Equal(t0) || c.attempt != 1 {
			t.Fatalf("chose %+v", c)
		}
		l.done.set(c.unit)
	}
	c := choose(&cfg, l)
	if c.unit < 0 || l.rank(c.unit) != 1 || !c.at.Equal(t0.Add(2*time.Second)) {
		t.Errorf("of the other's units: %+v, want one after δ = 2 s", c)
	}
	for _, u := range theirs {
		l.done.set(u)
	}
	if c := choose(&cfg, l); c.unit >= 0 {
		t.Errorf("nothing is left, chose %+v", c)
	}
}

func TestChooseReopened(t *testing.T) {
	cfg := DefaultConfig()
	l := scene(40, "other")
	mine, _ := owners(l)
	u := mine[0]
	for _, tc := range []struct {
		since time.Duration
		first bool
	}{{time.Second, false}, {59 * time.Second, false}, {61 * time.Second, true}} {
		l.opened = map[int]time.Time{u: t0.Add(-tc.since)}
		if c := choose(&cfg, l); (c.unit == u) != tc.first {
			t.Errorf("reopened %v ago: chose %d, first: %v", tc.since, c.unit, tc.first)
		}
	}
	for _, v := range mine[1:] {
		l.done.set(v)
	}
	l.opened[u] = t0
	if c := choose(&cfg, l); c.unit != u || c.attempt != 2 || !c.at.Equal(t0) {
		t.Errorf("the only one of mine: %+v", c)
	}
}

func TestChooseTail(t *testing.T) {
	cfg := DefaultConfig()
	tail := func(age time.Duration, theirs time.Duration) *look {
		l := scene(1, "slow")
		l.nodes[1].expect = theirs
		l.held[0] = []hold{{node: 1, attempt: 1, seen: t0.Add(-age)}}
		return l
	}
	for _, tc := range []struct {
		name        string
		age, theirs time.Duration
		spare       int
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
		l := tail(tc.age, tc.theirs)
		l.spare = tc.spare
		l.idle = t0.Add(-time.Hour)
		c := choose(&cfg, l)
		wait := l.idleAhead(0) * 2
		now := !c.at.After(t0.Add(time.Duration(wait) * time.Second))
		if c.unit != 0 || now != tc.now || now && c.spare != tc.counts {
			t.Errorf("%s: %+v (now %v)", tc.name, c, now)
		}
	}
	l := tail(10*time.Second, 5*time.Minute)
	l.held[0] = append(l.held[0], hold{node: 1, attempt: 2, seen: t0.Add(-time.Second)})
	if c := choose(&cfg, l); !c.at.After(t0) || c.spare {
		t.Errorf("two are at it already: %+v", c)
	}
	l = tail(10*time.Second, 5*time.Minute)
	l.nodes[0].known, l.nodes[1].known, l.nodes[1].own = false, false, false
	if c := choose(&cfg, l); c.spare || c.at.Before(t0.Add(3*5*time.Minute)) {
		t.Errorf("nothing is measured: %+v", c)
	}
}

func TestChooseFromMany(t *testing.T) {
	cfg := DefaultConfig()
	l := scene(3000, "b", "c", "d")
	seen := map[int]bool{}
	for range 600 {
		c := choose(&cfg, l)
		if c.unit < 0 || seen[c.unit] || !c.at.Equal(t0) {
			t.Fatalf("after %d units: %+v", len(seen), c)
		}
		seen[c.unit] = true
		l.done.set(c.unit)
	}
}

func BenchmarkChoose(b *testing.B) {
	cfg := DefaultConfig()
	l := scene(10000)
	for i := range 99 {
		id := NodeID(rune('a' + i))
		l.nodes = append(l.nodes, peer{id: id, seed: nodeSeed("plan", id), weight: 1, expect: time.Minute, free: i%2 == 0})
	}
	for b.Loop() {
		choose(&cfg, l)
	}
}
