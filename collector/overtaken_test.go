package collector

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"actfleet/collector/model"
	"actfleet/collector/model/modeltest"
	"actfleet/coordinator"
	"actfleet/coordinator/fleettest"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/store/mem"
	"actfleet/shard/tap"
)

// pendings is a store that counts what was begun and neither committed nor dropped.
type pendings struct {
	store.Store
	open atomic.Int32
}

func (s *pendings) Create(ctx context.Context, key string) (store.Pending, error) {
	p, err := s.Store.Create(ctx, key)
	if err == nil {
		s.open.Add(1)
		p = &pending{Pending: p, end: sync.OnceFunc(func() { s.open.Add(-1) })}
	}
	return p, err
}

type pending struct {
	store.Pending
	end func()
}

func (p *pending) Commit(ctx context.Context) error { p.end(); return p.Pending.Commit(ctx) }
func (p *pending) Abort() error                     { p.end(); return p.Pending.Abort() }

// events are the units of each kind of event.
type events struct {
	mu    sync.Mutex
	units map[string][]int
	tell  func(Event)
}

func (e *events) observe(ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ev.Unit != nil {
		e.units[ev.Event] = append(e.units[ev.Event], *ev.Unit)
	}
	if e.tell != nil {
		e.tell(ev)
	}
}

// told is a fleet that says of one unit, the first time, that another node was first with it.
type told struct {
	Fleet
	unit      int
	overtaken func(ctx context.Context) bool
	once      sync.Once
	dropped   atomic.Bool
}

func (f *told) Overtaken(ctx context.Context, unit int) (over bool) {
	if unit == f.unit {
		f.once.Do(func() { over = f.overtaken(ctx) })
	}
	if !over {
		<-ctx.Done()
	}
	return over
}

func (f *told) Drop(unit int) {
	f.dropped.Store(f.dropped.Load() || unit == f.unit)
	f.Fleet.Drop(unit)
}

// gated is a model that is asked before every pass.
type gated struct {
	Model
	before func(ctx context.Context, r model.Request)
}

func (g gated) Forward(ctx context.Context, r model.Request) ([][]float32, error) {
	g.before(ctx, r)
	return g.Model.Forward(ctx, r)
}

// Whenever a unit is found to be another node's, the work on it ends without an error and without a trace, and goes on
// with the next unit; once it is being committed the store decides.
func TestOvertakenUnitIsDropped(t *testing.T) {
	yes := func(context.Context) bool { return true }
	for name, tc := range map[string]struct {
		part      float64 // of the unit that is computed before
		waits     bool    // the rest waits until it is dropped
		overtaken func(ctx context.Context) bool
		drops     []int // how many are possible
	}{
		"at once":                    {0, true, yes, []int{1}},
		"while it is computed":       {0.01, true, yes, []int{1}},
		"after its last batch":       {1, false, yes, []int{0, 1}},
		"when it is being committed": {1, false, func(ctx context.Context) bool { <-ctx.Done(); return true }, []int{0}},
	} {
		t.Run(name, func(t *testing.T) {
			const unit, mark = 2, 99 // every prompt of the unit begins with the mark, and no other one does
			in := prompts(200)
			for i, ids := range in.IDs {
				if ids[0] = ids[0] % mark; i >= 51 && i < 120 {
					ids[0] = mark
				}
			}
			st, so := &pendings{Store: mem.New(time.Now)}, make(chan struct{})
			cfg := config(t, st, modeltest.NewFake(), ask(t, "all"), in)
			fleet := &told{Fleet: alone(t, st, cfg.Plan), unit: unit}
			fleet.overtaken = func(ctx context.Context) bool { <-so; return tc.overtaken(ctx) }
			var passes atomic.Int32 // of the unit
			cfg.Fleet, cfg.Model = fleet, gated{cfg.Model, func(ctx context.Context, r model.Request) {
				if tc.waits && r.IDs[0][0] == mark && !fleet.dropped.Load() && (tc.part == 0 || passes.Add(1) > 1) {
					<-ctx.Done()
				}
			}}
			reached := sync.OnceFunc(func() { close(so) })
			if tc.part == 0 {
				reached()
			}
			e := &events{units: map[string][]int{}, tell: func(ev Event) {
				if ev.Event == "progress" && *ev.Unit == unit && ev.Progress.Part >= tc.part {
					reached()
				}
			}}
			cfg.Observe = e.observe
			sum, err := Collect(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(tc.drops, sum.Overtaken) || sum.Won != 4 || sum.Lost != 0 || len(e.units["overtaken"]) != sum.Overtaken || len(e.units["drop"]) != 0 {
				t.Errorf("%+v, %v", sum, e.units)
			}
			if n := st.open.Load(); n != 0 {
				t.Errorf("%d objects were neither committed nor dropped", n)
			}
			wantClean(t, st)
		})
	}
}

// A node that hangs in its first unit, in a pass through a real model, is overtaken by the other one, drops the unit, and ends with
// the run; every row is there once.
func TestSlowNodeIsOvertaken(t *testing.T) {
	m, err := model.Load("model/modeltest/testdata/qwen3")
	if err != nil {
		t.Fatal(err)
	}
	st, in := &pendings{Store: mem.New(time.Now)}, prompts(121)
	for _, ids := range in.IDs {
		for i := range ids {
			ids[i] %= int32(m.Info().Shape.Vocab)
		}
	}
	a := ask(t, "all")
	a.Sites, a.Layers = []tap.Site{tap.Resid}, []int{0}
	cfg := config(t, st, m, a, in)
	net := fleettest.NewNetwork(fleettest.RealTime{}, fleettest.Options{Plan: cfg.Plan.ID(), Units: cfg.Plan.NumUnits(), Latency: time.Millisecond})
	defer net.Close()
	sums, said := make([]Summary, 2), []*events{{units: map[string][]int{}}, {units: map[string][]int{}}}
	var wg sync.WaitGroup
	hangs := make(chan struct{})
	for i := range sums {
		c := cfg
		c.Node, c.Observe = string(fleettest.ID(i)), said[i].observe
		c.Fleet = member(t, st, cfg.Plan, net, i)
		if i == 0 {
			var hung atomic.Bool
			c.Model = gated{m, func(ctx context.Context, _ model.Request) {
				if hung.CompareAndSwap(false, true) {
					<-ctx.Done()
				}
			}}
			said[i].tell = func(e Event) {
				if e.Event == "claim" && len(said[0].units["claim"]) == 1 {
					close(hangs)
				}
			}
		} else {
			<-hangs
		}
		wg.Go(func() {
			var err error
			if sums[i], err = Collect(t.Context(), c); err != nil {
				t.Errorf("node %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if s := sums[0]; s.Won+sums[1].Won != cfg.Plan.NumUnits() || s.Overtaken == 0 || s.Won+s.Lost+s.Overtaken != len(said[0].units["claim"]) {
		t.Errorf("slow: %+v, %v; fast: %+v", s, said[0].units, sums[1])
	}
	for _, u := range said[0].units["overtaken"] {
		if slices.Contains(said[0].units["commit"], u) || !slices.Contains(said[1].units["commit"], u) {
			t.Errorf("unit %d: %v, %v", u, said[0].units, said[1].units)
		}
	}
	if n := st.open.Load(); n != 0 {
		t.Errorf("%d objects were neither committed nor dropped", n)
	}
	wantClean(t, st)
}

// member is the coordinator of node i of a network.
func member(t *testing.T, st store.Store, plan run.Plan, net *fleettest.Network, i int) *coordinator.Coordinator {
	t.Helper()
	cfg := coordinator.DefaultConfig()
	cfg.Node, cfg.Units, cfg.PlanID, cfg.Settle = fleettest.ID(i), plan.NumUnits(), plan.ID(), 0
	c, err := coordinator.New(cfg, Ledger{Store: st, Plan: plan}, net.Join(cfg.Node))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
