package gossip

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"actfleet/coordinator"
	"actfleet/coordinator/fleettest"
	"actfleet/internal/testnet"
)

// collect does what a collector does: it asks for units, works on each for a while
// and commits it, until the run is complete or ctx ends. started is told of each
// unit.
func collect(ctx context.Context, t *testing.T, f *Fleet, store *fleettest.Store, unitTime time.Duration, started func(int)) {
	cfg := coordinator.DefaultConfig()
	cfg.Node, cfg.Units, cfg.PlanID = f.cfg.Node, f.cfg.Units, f.cfg.PlanID
	c, err := coordinator.New(cfg, store, f)
	if err != nil {
		t.Error(err)
		return
	}
	for {
		u, err := c.Next(ctx)
		if err != nil {
			if !errors.Is(err, coordinator.ErrComplete) && ctx.Err() == nil {
				t.Error(err)
			}
			return
		}
		started(u)
		select {
		case <-ctx.Done():
			return
		case <-time.After(unitTime):
		}
		c.Done(u, unitTime, store.Commit(u, cfg.Node))
	}
}

// TestRunWithACrash runs three nodes over real gossip and crashes one in the middle
// of a unit.
func TestRunWithACrash(t *testing.T) {
	const units, unitTime = 24, 200 * time.Millisecond
	store := fleettest.NewStore(units)
	var mu sync.Mutex
	starts, victim := 0, -1
	var crashed, taken time.Time
	var fleets []*Fleet
	var running sync.WaitGroup
	for i, name := range []string{"a", "b", "c"} {
		cfg := testConfig(t, name)
		cfg.Units = units
		if i > 0 {
			cfg.Join = []string{fleets[0].Addr()}
		}
		f := start(t, cfg)
		fleets = append(fleets, f)
		ctx, cancel := context.WithCancel(t.Context())
		own := 0
		running.Go(func() {
			collect(ctx, t, f, store, unitTime, func(u int) {
				mu.Lock()
				defer mu.Unlock()
				starts++
				if own++; name == "b" && own == 3 {
					victim, crashed = u, time.Now()
					crash(t, f)
					cancel()
				} else if u == victim {
					taken = time.Now()
				}
			})
			cancel()
		})
	}
	running.Wait()
	if m := store.Missing(); len(m) > 0 || victim < 0 {
		t.Fatalf("missing %v, victim %d", m, victim)
	}
	t.Logf("unit taken over after %v; %d starts of %d units", taken.Sub(crashed), starts, units)
	if starts > units+4 {
		t.Errorf("%d starts of %d units", starts, units)
	}
}

// TestPartsFindEachOther: two nodes that could not reach each other when they
// started, both seeds, become one fleet.
func TestPartsFindEachOther(t *testing.T) {
	aAddr, bAddr := testnet.FreeAddr(t), testnet.FreeAddr(t)
	cfg := testConfig(t, "b", aAddr, bAddr)
	cfg.Bind = bAddr
	b := start(t, cfg)
	cfg = testConfig(t, "a")
	cfg.Bind = aAddr
	a := start(t, cfg)
	a.Publish(coordinator.Delta{Done: []int{1}})
	b.Publish(coordinator.Delta{Done: []int{2}})
	for _, f := range []*Fleet{a, b} {
		eventually(t, f, "the parts merge", func() bool { return len(f.Members()) == 2 && f.State().NumDone() == 2 })
	}
}

// TestCallbacksDoNotBlock floods a node whose reader stands still.
func TestCallbacksDoNotBlock(t *testing.T) {
	h := newHooks(meta{plan: testPlan}, "a", coordinator.NewSharedState(testPlan, 10), testConfig(t, "a").Logger)
	for range maxInbox + 5 {
		h.NotifyMsg([]byte("x"))
	}
	if s := h.stats(); s.Dropped != 5 {
		t.Errorf("%+v", s)
	}
	for u := range 3 * maxQueue {
		h.broadcast(testPlan, 10, coordinator.Delta{Done: []int{u % 10}})
	}
	if n := h.queue.NumQueued(); n > maxQueue {
		t.Errorf("%d broadcasts are queued", n)
	}
}

func TestBroadcasts(t *testing.T) {
	h := newHooks(meta{plan: testPlan}, "a", coordinator.NewSharedState(testPlan, 1<<20), testConfig(t, "a").Logger)
	h.queue.RetransmitMult = 4
	node := coordinator.NodeState{Node: "a"}
	for range 5 {
		node.Seq++
		h.broadcast(testPlan, 1<<20, coordinator.Delta{Done: []int{int(node.Seq)}, Nodes: []coordinator.NodeState{node}})
	}
	if n := h.queue.NumQueued(); n != 6 {
		t.Errorf("%d broadcasts, want 5 units and the last word of one node", n)
	}
	var far []int
	for i := range doneChunk {
		far = append(far, i*8000)
	}
	if n := len(coordinator.EncodeDelta(testPlan, 1<<20, coordinator.Delta{Done: far})); n > maxBroadcast {
		t.Errorf("a chunk of units takes %d bytes", n)
	}
}

func FuzzDecodeMeta(f *testing.F) {
	f.Add(meta{plan: testPlan, host: "h"}.encode())
	f.Add(meta{observer: true}.encode())
	f.Add([]byte{1, 0, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMeta(b)
		if err != nil {
			return
		}
		if again, err := decodeMeta(m.encode()); err != nil || again != m {
			t.Fatalf("%+v, then %+v, %v", m, again, err)
		}
	})
}
