package node

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"actfleet/collector"
	"actfleet/collector/model/modeltest"
	"actfleet/shard/store"
	"actfleet/shard/store/fault"
	"actfleet/shard/store/mem"
)

// slow is a model whose every pass takes a second.
func slow() *modeltest.Fake {
	m := modeltest.NewFake()
	m.Before = func(ctx context.Context) error {
		select {
		case <-time.After(time.Second):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return m
}

// stopAt runs a node over a store until its nth event of a kind, and a while longer, and stops it then.
func stopAt(t *testing.T, st store.Store, kind string, n int, grace time.Duration) (r *recorder, sum collector.Summary, took time.Duration, err error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var stopped time.Time
	r = new(recorder)
	r.on = func(e collector.Event) {
		if e.Event == kind && r.count(kind) == n {
			time.AfterFunc(time.Second/2, func() { stopped = time.Now(); stop() })
		}
	}
	cfg := config(t, st, slow(), r)
	cfg.Grace = grace
	sum, err = Run(ctx, cfg, r)
	return r, sum, time.Since(stopped), err
}

func TestDrainFinishesTheUnitWithinTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := mem.New(time.Now)
		r, sum, _, err := stopAt(t, st, "claim", 2, time.Hour)
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "2 of 5 units committed; the same command goes on") {
			t.Errorf("error %v", err)
		}
		if sum.Won != 2 || r.count("claim") != 2 || r.count("commit") != 2 || r.count("drop") != 0 {
			t.Errorf("%+v, %v", sum, r.events)
		}
		if e := r.last(); e.Event != "leave" || e.Message != "interrupted" || !r.said("finishing unit") {
			t.Errorf("said %q, last %+v", r.lines, e)
		}
		wantGoesOn(t, st)
	})
}

// wantGoesOn lets another node finish the run.
func wantGoesOn(t *testing.T, st store.Store) {
	t.Helper()
	r := new(recorder)
	if _, err := Run(t.Context(), config(t, st, modeltest.NewFake(), r), r); err != nil {
		t.Fatal(err)
	}
	wantWhole(t, st)
}

func TestDrainDropsAUnitThatTakesLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := mem.New(time.Now)
		r, sum, took, err := stopAt(t, st, "claim", 3, time.Millisecond)
		if !errors.Is(err, context.Canceled) || !r.said("dropping unit") || r.count("drop") == 0 {
			t.Errorf("error %v, said %q, %v", err, r.lines, r.events)
		}
		if took > time.Second || sum.Won >= units {
			t.Errorf("took %s to leave, won %d units", took, sum.Won)
		}
		wantGoesOn(t, st)
	})
}

// How long the first unit takes nobody knows: the node tries, until the grace ends.
func TestDrainEndsWithTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := mem.New(time.Now)
		const grace = 300 * time.Millisecond
		r, _, took, err := stopAt(t, st, "claim", 1, grace)
		if !errors.Is(err, context.Canceled) || took != grace {
			t.Errorf("error %v after %s, want the grace of %s", err, took, grace)
		}
		if r.count("commit") != 0 || r.count("drop") == 0 || !r.said("finishing unit") {
			t.Errorf("said %q, %v", r.lines, r.events)
		}
		wantGoesOn(t, st)
	})
}

// The store fails while a node drains: its error is that, not that it was interrupted, and nothing is left.
func TestStoreFaultsWhileDraining(t *testing.T) {
	began := 0 // operations until the node is told to stop
	synctest.Test(t, func(t *testing.T) {
		counting := fault.Wrap(mem.New(time.Now), fault.Faults{})
		ctx, stop := context.WithCancel(t.Context())
		r := new(recorder)
		r.on = func(e collector.Event) {
			if e.Event == "claim" {
				began = counting.Ops()
				stop()
			}
		}
		if _, err := Run(ctx, config(t, counting, slow(), r), r); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	})
	for _, after := range []bool{false, true} {
		fired, failed := true, 0
		for at := began + 1; fired; at++ {
			synctest.Test(t, func(t *testing.T) {
				st := mem.New(time.Now)
				broken := fault.Wrap(st, fault.Faults{FailAt: at, After: after})
				r, _, _, err := stopAt(t, broken, "claim", 1, time.Hour)
				if fired = broken.Fired(); fired && errors.Is(err, fault.ErrInjected) {
					failed++
				} else if !errors.Is(err, context.Canceled) {
					t.Errorf("operation %d: %v, %v", at, err, r.events)
				}
				wantGoesOn(t, st)
			})
		}
		if failed == 0 {
			t.Error("no operation of a draining node failed")
		}
	}
}

// A paused node finishes what it has and begins nothing until it is resumed, however long that is.
func TestPauseAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, r := mem.New(time.Now), new(recorder)
		signals := make(chan os.Signal, 1)
		var paused atomic.Bool
		r.on = func(e collector.Event) {
			switch {
			case e.Event == "claim" && paused.Load():
				t.Error("a paused node claims a unit")
			case e.Event == "claim" && r.count("claim") == 2:
				signals <- syscall.SIGUSR1
				time.AfterFunc(time.Second/2, func() { paused.Store(true) })
				time.AfterFunc(time.Hour, func() {
					if n := r.count("commit"); n != 2 {
						t.Errorf("%d units committed, want the 2 that were begun", n)
					}
					if c := condition(r.fleet); c != "paused" {
						t.Errorf("the node is %s", c)
					}
					paused.Store(false)
					signals <- syscall.SIGUSR2
				})
			}
		}
		cfg := config(t, st, slow(), r)
		cfg.Signals = signals
		if _, err := Run(t.Context(), cfg, r); err != nil || !r.said("fleet: paused") || !r.said("fleet: resumed") {
			t.Errorf("%v, said %q", err, r.lines)
		}
		wantWhole(t, st)
	})
}

// condition is that of this node.
func condition(f *Fleet) string {
	for _, n := range f.Progress().Nodes {
		if n.Self {
			return n.Condition()
		}
	}
	return "nowhere"
}

// A paused node that is told to stop leaves at once.
func TestStopWhilePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, r := mem.New(time.Now), new(recorder)
		ctx, stop := context.WithCancel(t.Context())
		signals := make(chan os.Signal, 1)
		r.on = func(e collector.Event) {
			if e.Event == "claim" && r.count("claim") == 2 {
				signals <- syscall.SIGUSR1
				time.AfterFunc(time.Hour, stop)
			}
		}
		cfg := config(t, st, slow(), r)
		cfg.Signals = signals
		if _, err := Run(ctx, cfg, r); !errors.Is(err, context.Canceled) || r.count("commit") != 2 {
			t.Errorf("%v, %v", err, r.events)
		}
		wantGoesOn(t, st)
	})
}
