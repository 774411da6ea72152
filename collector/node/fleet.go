package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"actfleet/collector"
	"actfleet/coordinator"
	"actfleet/coordinator/gossip"
	"actfleet/shard/run"
	"actfleet/shard/store"
)

// FleetConfig says how a node finds its fleet. With neither Join nor Bind it is a fleet of one and uses no network.
type FleetConfig struct {
	Join   []string     // addresses HOST:PORT of nodes
	Bind   string       // address to gossip on; empty: any free port
	Secret []byte       // the fleet's key of 16, 24 or 32 bytes; empty: none
	Logger *slog.Logger // gets what gossip, and the look at a whole run, have to say
}

// Fleet is a node's place among the others.
type Fleet struct {
	ID          coordinator.NodeID
	Host        string
	Coordinator *coordinator.Coordinator

	peers  coordinator.Peers
	gossip *gossip.Fleet // nil for a fleet of one
}

// Join joins the fleet that works on a plan, as a process that began at started. Its units are committed in st.
func Join(ctx context.Context, c FleetConfig, st store.Store, plan run.Plan, started time.Time) (*Fleet, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("ask for the host name: %w", err)
	}
	f := &Fleet{ID: coordinator.NewNodeID(host, os.Getpid(), started), Host: host}
	if err := f.meet(ctx, c, plan); err != nil {
		return nil, err
	}
	cfg := coordinator.DefaultConfig()
	cfg.Node, cfg.Host, cfg.Started = f.ID, host, started
	cfg.Units, cfg.PlanID = plan.NumUnits(), shortPlanID(plan)
	cfg.ExpectedUnit = expectedUnit
	f.Coordinator, err = coordinator.New(cfg, collector.Ledger{Store: st, Plan: plan}, f.peers)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// expectedUnit is what a unit is taken to last before one was measured: units are cut to some
// seconds of work for small models and half a minute for large ones.
const expectedUnit = 5 * time.Second

// shortPlanID is what the plan is called in every message, some of them sent a dozen times: a quarter of its id tells plans
// apart.
func shortPlanID(p run.Plan) string { return p.ID()[:16] }

// meet finds the peers.
func (f *Fleet) meet(ctx context.Context, c FleetConfig, plan run.Plan) (err error) {
	if len(c.Join) == 0 && c.Bind == "" {
		f.peers = coordinator.Alone(f.ID, f.Host, shortPlanID(plan), plan.NumUnits())
		return nil
	}
	f.gossip, err = gossip.Start(ctx, gossip.Config{
		Bind: c.Bind, Join: c.Join, Secret: c.Secret, PlanID: shortPlanID(plan), Units: plan.NumUnits(),
		Node: f.ID, Host: f.Host, Preset: gossip.PresetFor(c.Bind, c.Join), Logger: c.Logger,
	})
	f.peers = f.gossip
	return err
}

// Addr is where the node gossips; empty for a fleet of one.
func (f *Fleet) Addr() string {
	if f.gossip == nil {
		return ""
	}
	return f.gossip.Addr()
}

// cores is this node's fair share of the host's cores, now: several nodes that each take all cores
// are far slower than one.
func (f *Fleet) cores() int {
	return max(1, runtime.NumCPU()/max(1, coordinator.SameHost(f.peers.Members(), f.Host)))
}

// Progress is where the run stands.
func (f *Fleet) Progress() coordinator.Progress { return f.Coordinator.Progress() }

// Gossip returns the counters of gossip, false for a fleet of one.
func (f *Fleet) Gossip() (gossip.Stats, bool) {
	if f.gossip == nil {
		return gossip.Stats{}, false
	}
	return f.gossip.Stats(), true
}

// Close says goodbye to the fleet.
func (f *Fleet) Close() error {
	if f.Coordinator != nil {
		f.Coordinator.Leave()
	}
	if f.gossip == nil {
		return nil
	}
	return f.gossip.Close()
}
