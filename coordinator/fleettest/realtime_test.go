package fleettest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"actfleet/coordinator"
)

// work is a program's loop around a coordinator, on the time of the bubble.
func work(ctx context.Context, t *testing.T, p *Peer, s *Store, id coordinator.NodeID, units int) {
	cfg := coordinator.DefaultConfig()
	cfg.Node, cfg.Units, cfg.PlanID = id, units, "plan"
	c, err := coordinator.New(cfg, s, p)
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
		select {
		case <-ctx.Done():
			return
		case <-time.After(10 * time.Second):
			c.Done(u, 10*time.Second, s.Commit(u, id))
		}
	}
}

// TestRealTime runs blocking coordinators over a lossy Network; one node dies.
func TestRealTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const units = 40
		net := NewNetwork(RealTime{}, Options{Plan: "plan", Units: units, Loss: 0.2})
		store := NewStore(units)
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 4 {
			ctx, cancel := context.WithCancel(t.Context())
			peer := net.Join(ID(i))
			wg.Go(func() {
				defer cancel()
				work(ctx, t, peer, store, ID(i), units)
			})
			if i == 3 {
				time.AfterFunc(35*time.Second, func() {
					net.Crash(ID(i))
					cancel()
				})
			}
		}
		wg.Wait()
		net.Close()
		if m := store.Missing(); len(m) > 0 || store.Lost() > 4 {
			t.Errorf("missing %v, %d lost", m, store.Lost())
		}
		t.Logf("took %v, %d commits came second", time.Since(start), store.Lost())
	})
}
