package collector

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"actfleet/collector/model/modeltest"
	"actfleet/shard/run"
	"actfleet/shard/store/mem"
)

// A node that is told to stop commits what it has begun and begins nothing else.
func TestStopFinishesTheUnit(t *testing.T) {
	stop, end := context.WithCancel(t.Context())
	cfg := config(t, mem.New(time.Now), modeltest.NewFake(), ask(t, "all"), prompts(200))
	events := map[string]int{}
	cfg.Stop, cfg.Observe = stop, func(e Event) {
		if events[e.Event]++; e.Event == "claim" {
			end()
		}
	}
	sum, err := Collect(t.Context(), cfg)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if sum.Won != 1 || events["claim"] != 1 || events["commit"] != 1 || events["drop"] != 0 {
		t.Errorf("won %d units, events %v; want one claim and its commit", sum.Won, events)
	}
}

// A node that is told to drop its unit leaves nothing of it, and the unit behind, which was computed, is committed.
func TestDropEndsTheUnitBeingComputed(t *testing.T) {
	drop, end := context.WithCancel(t.Context())
	st, m := mem.New(time.Now), modeltest.NewFake()
	cfg := config(t, st, m, ask(t, "all"), prompts(200))
	var mu sync.Mutex
	var dropped, committed []int
	first := make(chan struct{}) // closed when a unit is committed
	cfg.Drop, cfg.Stop = drop, drop
	cfg.Observe = func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		switch e.Event {
		case "commit":
			if committed = append(committed, *e.Unit); len(committed) == 1 {
				close(first)
			}
		case "drop":
			dropped = append(dropped, *e.Unit)
		}
	}
	m.Before = func(ctx context.Context) error {
		select {
		case <-first: // a second unit is being computed
			end()
			<-ctx.Done()
		default:
		}
		return ctx.Err()
	}
	if _, err := Collect(t.Context(), cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if len(dropped) == 0 || len(committed) == 0 {
		t.Fatalf("dropped %v, committed %v", dropped, committed)
	}
	wantNotCommitted(t, st, dropped...)
	if o, err := st.Open(t.Context(), run.UnitKey(committed[0])); err != nil || o.Close() != nil {
		t.Errorf("unit %d: %v", committed[0], err)
	}
}
