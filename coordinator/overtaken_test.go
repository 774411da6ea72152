package coordinator

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// busy is a node in a fleet of two, with a unit in hand, that waits to hear whether the other one was first.
type busy struct {
	*Coordinator
	ledger *memLedger
	peers  *liar
	unit   int
	began  time.Time
	told   chan bool // what Overtaken returned
	end    context.CancelFunc
}

func watchUnit(t *testing.T) *busy {
	t.Helper()
	w := &busy{ledger: newLedger(4), peers: newLiar(4, "a", "b"), told: make(chan bool, 1)}
	cfg := testConfig("a", 4)
	cfg.Settle = 0
	var err error
	if w.Coordinator, err = New(cfg, w.ledger, w.peers); err != nil {
		t.Fatal(err)
	}
	if w.unit, err = w.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.began, w.end = time.Now(), cancel
	go func() { w.told <- w.Overtaken(ctx, w.unit) }()
	return w
}

// gossip says that the other node has committed the unit.
func (w *busy) gossip() { w.peers.Apply(Delta{Done: []int{w.unit}}) }

func TestOvertaken(t *testing.T) {
	const never = -1
	for name, tc := range map[string]struct {
		happens func(w *busy)
		after   time.Duration // the start of the unit
	}{
		"nothing happens":              {func(*busy) {}, never},
		"gossip says so, the store no": {(*busy).gossip, never},
		"committed and gossiped":       {func(w *busy) { w.ledger.commit(w.unit); w.gossip() }, 0},
		"committed, gossip is lost":    {func(w *busy) { w.ledger.commit(w.unit) }, 15 * time.Second},
		"gossip was early": {func(w *busy) {
			w.gossip()
			time.AfterFunc(time.Minute+time.Second, func() { w.ledger.commit(w.unit) })
		}, 75 * time.Second},
		"the store does not answer": {func(w *busy) {
			w.ledger.commit(w.unit)
			w.ledger.broken(errors.New("no answer"))
			w.gossip()
			time.AfterFunc(time.Minute-time.Second, func() { w.ledger.broken(nil) })
		}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := watchUnit(t)
				tc.happens(w)
				time.AfterFunc(time.Hour, w.end)
				overtaken, after := <-w.told, time.Since(w.began)
				if overtaken != (tc.after != never) || overtaken && after != tc.after {
					t.Errorf("overtaken: %v after %v, want %v", overtaken, after, tc.after)
				}
				if asked := w.ledger.asked(); asked > 1+int(time.Hour/(15*time.Second))+1 {
					t.Errorf("the ledger was asked %d times in an hour", asked)
				}
			})
		})
	}
}

// A unit that another node was first with is done for this one: it is not handed out again, counts for nobody here, is
// no claim any more, and tells how slow the node is.
func TestOvertakenUnitIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watchUnit(t)
		time.Sleep(10 * time.Second)
		w.Advance(w.unit, 0.25)
		w.ledger.commit(w.unit)
		if !<-w.told {
			t.Fatal("not told")
		}
		if !w.peers.Done(w.unit) {
			t.Error("the fleet was not told of the commit that gossip had missed")
		}
		took := time.Since(w.began)
		w.Drop(w.unit)
		p := w.Progress()
		me := p.Nodes[0]
		if p.Done != 1 || p.Own != 0 || p.Lost != 0 || len(me.Claims) != 0 || me.UnitTime != 4*took {
			t.Errorf("%+v: want 1 unit done, not by this node, and a unit time of %v", p, 4*took)
		}
		u, err := w.Next(t.Context())
		if err != nil || u == w.unit {
			t.Errorf("unit %d, %v after unit %d", u, err, w.unit)
		}
	})
}

// A unit given up for any other reason measures nothing.
func TestDropMeasuresNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watchUnit(t)
		time.Sleep(10 * time.Second)
		w.Advance(w.unit, 0.25)
		w.end()
		if <-w.told {
			t.Error("overtaken by nobody")
		}
		w.Drop(w.unit)
		if me := w.Progress().Nodes[0]; me.UnitTime != 0 || len(me.Claims) != 0 {
			t.Errorf("%+v", me)
		}
	})
}
