package coordinator

import (
	"context"
	"errors"
	"slices"
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
	return l.done[u], l.fail
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
	cfg.Node, cfg.Units, cfg.Salt, cfg.Host = node, units, "plan", "host"
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
