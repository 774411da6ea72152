package coordinator

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A paused node gets nothing until it is resumed, and says so; it ends when others complete the run.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(3)
		c := newAlone(t, 3, l)
		c.Pause()
		c.Pause()
		began := time.Now()
		time.AfterFunc(7*time.Second, c.Resume)
		u, err := c.Next(t.Context())
		if waited := time.Since(began); err != nil || waited != 7*time.Second {
			t.Fatalf("unit %d, %v, after %v; want one after the pause of 7 s", u, err, waited)
		}
		c.Pause()
		if n := c.Progress().Nodes[0]; !n.Paused || len(n.Claims) != 1 {
			t.Errorf("a paused node with a unit in hand is shown as %+v", n)
		}
		c.Done(u, time.Second, l.commit(u))
		if p := c.Progress(); p.Throughput != 0 || p.Own != 1 {
			t.Errorf("%+v: want one unit, and no speed of a paused node", p)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := c.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("paused: %v", err)
		}
		for u := range 3 {
			l.commit(u)
		}
		if _, err := c.Next(t.Context()); !errors.Is(err, ErrComplete) {
			t.Errorf("paused, all committed: %v", err)
		}
	})
}

// The others take a paused node's units as their own, without waiting for it.
func TestPausedNodeOwnsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const units = 20
		peers := newLiar(units, "a", "b")
		peers.Apply(Delta{Nodes: []NodeState{{Node: "b", Seq: 1, Paused: true, Speed: 100, UnitTime: time.Second, Waiting: true}}})
		l := newLedger(units)
		cfg := testConfig("a", units)
		cfg.Settle = 0
		c, err := New(cfg, l, peers)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for range units {
			u, err := c.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			c.Done(u, time.Second, l.commit(u))
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("waited %v for a paused node", waited)
		}
	})
}

func TestRemaining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(3)
		c := newAlone(t, 3, l)
		u, _ := c.Next(t.Context())
		if _, known := c.Remaining(u); known {
			t.Error("nothing was measured yet")
		}
		c.Done(u, 10*time.Second, l.commit(u))
		if u, _ = c.Next(t.Context()); u < 0 {
			t.Fatal("no unit")
		}
		time.Sleep(4 * time.Second)
		if d, known := c.Remaining(u); !known || d != 6*time.Second {
			t.Errorf("%v, %v; want 6 s", d, known)
		}
		c.Drop(u)
		if _, known := c.Remaining(u); known {
			t.Error("the unit was dropped")
		}
	})
}
