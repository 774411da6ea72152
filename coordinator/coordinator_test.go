package coordinator

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// memLedger is a ledger in memory.
type memLedger struct {
	mu    sync.Mutex
	done  []bool
	lists int
	asks  int
	fail  error
}

func newLedger(units int, done ...int) *memLedger {
	l := &memLedger{done: make([]bool, units)}
	for _, u := range done {
		l.done[u] = true
	}
	return l
}

func (l *memLedger) Committed(_ context.Context, u int) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asks++
	return l.done[u], l.fail
}

// asked is how often it was asked about one unit.
func (l *memLedger) asked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asks
}

// broken makes every answer an error, or for nil none.
func (l *memLedger) broken(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
}

func (l *memLedger) All(context.Context) ([]bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lists++
	return slices.Clone(l.done), l.fail
}

// commit reports whether it was first.
func (l *memLedger) commit(u int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	won := !l.done[u]
	l.done[u] = true
	return won
}

func testConfig(node NodeID, units int) Config {
	cfg := DefaultConfig()
	cfg.Node, cfg.Units, cfg.PlanID, cfg.Host = node, units, "plan", "host"
	return cfg
}

func newAlone(t *testing.T, units int, l Ledger) *Coordinator {
	t.Helper()
	cfg := testConfig("a", units)
	c, err := New(cfg, l, Alone("a", "host", "plan", units))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAloneDoesEveryUnitOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(50, 3, 4, 49)
		c := newAlone(t, 50, l)
		start := time.Now()
		var got []int
		for {
			u, err := c.Next(t.Context())
			if errors.Is(err, ErrComplete) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, u)
			time.Sleep(time.Second)
			c.Done(u, time.Second, l.commit(u))
		}
		slices.Sort(got)
		if len(slices.Compact(got)) != 47 || time.Since(start) != 47*time.Second {
			t.Errorf("did %d units in %v", len(got), time.Since(start))
		}
		p := c.Progress()
		if p.Done != 50 || p.Own != 47 || p.ETA != 0 {
			t.Errorf("progress %+v", p)
		}
	})
}

func TestEmptyRunIsComplete(t *testing.T) {
	if _, err := newAlone(t, 0, newLedger(0)).Next(t.Context()); !errors.Is(err, ErrComplete) {
		t.Errorf("got %v", err)
	}
}

func TestLedgerErrorsAreReturned(t *testing.T) {
	l := newLedger(3)
	c := newAlone(t, 3, l)
	l.fail = errors.New("disk on fire")
	if _, err := c.Next(t.Context()); !errors.Is(err, l.fail) {
		t.Errorf("listing: got %v", err)
	}
	l.fail = nil
	u, err := c.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Drop(u)
	l.fail = errors.New("disk on fire")
	if _, err := c.Next(t.Context()); !errors.Is(err, l.fail) {
		t.Errorf("asking: got %v", err)
	}
	l.fail = nil
	if p := c.Progress(); len(p.Nodes[0].Claims) != 0 {
		t.Errorf("claims %v", p.Nodes[0].Claims)
	}
}

func TestNextEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newAlone(t, 1, newLedger(1))
		if _, err := c.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := c.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestDropGivesTheUnitBack(t *testing.T) {
	c := newAlone(t, 1, newLedger(1))
	for range 3 {
		u, err := c.Next(t.Context())
		if err != nil || u != 0 {
			t.Fatal(u, err)
		}
		c.Drop(u)
	}
}

// TestSeveralWorkers: workers of one node never get the same unit.
func TestSeveralWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(40)
		c := newAlone(t, 40, l)
		start := time.Now()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					u, err := c.Next(t.Context())
					if err != nil {
						if !errors.Is(err, ErrComplete) {
							t.Error(err)
						}
						return
					}
					time.Sleep(10 * time.Second)
					if !l.commit(u) {
						t.Errorf("unit %d was done twice", u)
					}
					c.Done(u, 10*time.Second, true)
				}
			})
		}
		wg.Wait()
		if d := time.Since(start); d != 100*time.Second {
			t.Errorf("took %v", d)
		}
		if p := c.Progress(); p.Throughput < 0.3 || p.Throughput > 0.4 || p.Nodes[0].UnitTime != 10*time.Second {
			t.Errorf("rate %v, unit time %v", p.Throughput, p.Nodes[0].UnitTime)
		}
	})
}

// liar is a Peers whose gossip says whatever the test wants.
type liar struct {
	*SharedState
	mu      sync.Mutex
	members []Member
}

func (l *liar) Publish(d Delta) { l.Apply(d) }
func (l *liar) Members() []Member {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.members
}

func (l *liar) lose() {
	l.mu.Lock()
	l.members = l.members[:1]
	l.mu.Unlock()
	l.Touch()
}

func newLiar(units int, members ...NodeID) *liar {
	l := &liar{SharedState: NewSharedState("plan", units)}
	for _, m := range members {
		l.members = append(l.members, Member{Node: m})
	}
	return l
}

// TestGossipIsNotBelieved: done bits that are not true do not end the run, and cost
// listings only.
func TestGossipIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, peers := newLedger(10, 0), newLiar(10, "a")
		for u := range 10 {
			peers.Apply(Delta{Done: []int{u}})
		}
		c, err := New(testConfig("a", 10), l, peers)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; ; n++ {
			u, err := c.Next(t.Context())
			if errors.Is(err, ErrComplete) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			c.Done(u, time.Second, l.commit(u))
		}
		if n != 9 || l.lists > 3 {
			t.Errorf("did %d units with %d listings, want 9", n, l.lists)
		}
	})
}

// TestCommitsOfOthersAreFound without gossip: one surprise, one listing.
func TestCommitsOfOthersAreFound(t *testing.T) {
	l := newLedger(20)
	c := newAlone(t, 20, l)
	u, _ := c.Next(t.Context())
	for i := range 20 {
		l.commit(i)
	}
	c.Done(u, time.Second, false)
	if _, err := c.Next(t.Context()); !errors.Is(err, ErrComplete) {
		t.Errorf("got %v", err)
	}
	if l.lists != 2 {
		t.Errorf("%d listings", l.lists)
	}
}

// TestDeadClaimerIsOvertaken: while its claimer is a member, a unit is left alone;
// when it is gone, the unit is taken at once.
func TestDeadClaimerIsOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, peers := newLedger(1), newLiar(1, "a", "b")
		peers.Apply(Delta{Nodes: []NodeState{{Node: "b", Seq: 1, Claims: []Claim{{Unit: 0, Attempt: 1, Started: time.Now()}}}}})
		c, err := New(testConfig("a", 1), l, peers)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(10 * time.Second)
			peers.lose()
		}()
		start := time.Now()
		if _, err := c.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("taken over after %v", d)
		}
		if n, _ := peers.State().Node("a"); n.Claims[0].Attempt != 2 {
			t.Errorf("claim %+v", n.Claims)
		}
	})
}

// TestNewcomerIsBelieved: a claim of a node that is not a member yet counts for a
// while, so that a mass start does not double the work.
func TestNewcomerIsBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, peers := newLedger(1), newLiar(1, "a")
		peers.Apply(Delta{Nodes: []NodeState{{Node: "b", Seq: 1, Started: time.Now(), Claims: []Claim{{Unit: 0, Attempt: 1, Started: time.Now()}}}}})
		c, err := New(testConfig("a", 1), l, peers)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := c.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d < time.Minute || d > 3*time.Minute {
			t.Errorf("taken over after %v", d)
		}
	})
}

func TestSettle(t *testing.T) {
	cfg := DefaultConfig() // 2 s at most, 0.5 s of quiet
	at := func(d time.Duration) time.Time { return t0.Add(d) }
	two, three := []Member{{Node: "a"}, {Node: "b"}}, []Member{{Node: "a"}, {Node: "b"}, {Node: "c"}}
	var s joinWait
	if w := s.wait(&cfg, two, at(0)); w != 500*time.Millisecond {
		t.Errorf("waits %v", w)
	}
	if w := s.wait(&cfg, three, at(400*time.Millisecond)); w != 500*time.Millisecond {
		t.Errorf("after a change waits %v", w)
	}
	if w := s.wait(&cfg, two, at(1800*time.Millisecond)); w != 200*time.Millisecond {
		t.Errorf("near the end waits %v", w)
	}
	if w := s.wait(&cfg, three, at(2*time.Second)); w != 0 || s.wait(&cfg, two, at(3*time.Second)) != 0 {
		t.Error("never over")
	}
	s = joinWait{}
	if w := s.wait(&cfg, append(two[:1:1], Member{Node: "o", Observer: true}), at(0)); w != 0 {
		t.Errorf("alone, waits %v", w)
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	err := Config{Units: -1, Settle: -1}.Validate()
	if err == nil || strings.Count(err.Error(), "\n") < 4 {
		t.Errorf("got %v", err)
	}
	cfg := testConfig("a", 10)
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	if _, err := New(cfg, newLedger(10), Alone("a", "", "other", 10)); !errors.Is(err, ErrOtherPlan) {
		t.Errorf("got %v", err)
	}
}

func TestProgress(t *testing.T) {
	s := NewState("plan", 100)
	s.Apply(Delta{Done: []int{1, 2, 3, 4}, Nodes: []NodeState{
		{Node: "a", Speed: 0.5, Done: 3, Beat: t0}, {Node: "b", Speed: 1.5, Done: 1}, {Node: "dead", Speed: 9},
	}})
	p := Summarize(s, []Member{{Node: "a"}, {Node: "b"}}, "a", t0.Add(time.Second))
	if p.Throughput != 2 || p.ETA != 48*time.Second || p.Nodes[0].Share != 0.75 || p.Nodes[0].Age != time.Second || p.Nodes[2].Live {
		t.Errorf("%+v", p)
	}
	if p := Summarize(NewState("plan", 1), nil, "", t0); p.ETA >= 0 {
		t.Errorf("an unknown time is %v", p.ETA)
	}
}

func TestNewNodeID(t *testing.T) {
	a, b := NewNodeID("gpu3", 42, t0), NewNodeID("gpu3", 42, t0.Add(time.Second))
	if a == b || a != NewNodeID("gpu3", 42, t0) || len(a) != len("gpu3-42-abcd") {
		t.Errorf("%s, %s", a, b)
	}
}
