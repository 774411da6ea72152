package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"actfleet/collector"
	"actfleet/coordinator"
	"actfleet/coordinator/gossip"
	"actfleet/shard/run"
	"actfleet/shard/store"
)

// fleetOptions are the flags with which a node finds its fleet.
type fleetOptions struct {
	join       []string
	bind       string
	secretFile string
}

func (o *fleetOptions) flags(f *pflag.FlagSet) {
	f.StringSliceVar(&o.join, "join", nil, "addresses HOST:PORT of nodes of the fleet to join")
	f.StringVar(&o.bind, "bind", "", "address to gossip on (with --join: 127.0.0.1:0, any free port); alone, no network is used")
	f.StringVar(&o.secretFile, "secret-file", "", "file with the fleet's 16, 24 or 32 byte key; gossip is encrypted with it")
}

// secret reads the fleet's key; none is given without --secret-file.
func (o fleetOptions) secret() ([]byte, error) {
	if o.secretFile == "" {
		return nil, nil
	}
	key, err := os.ReadFile(o.secretFile)
	if err != nil {
		return nil, fmt.Errorf("read --secret-file: %w", err)
	}
	return []byte(strings.TrimRight(string(key), "\r\n")), nil
}

// fleet is this node's place among the others.
type fleet struct {
	node        coordinator.NodeID
	host        string
	coordinator *coordinator.Coordinator
	peers       coordinator.Peers
	gossip      *gossip.Fleet // nil for a fleet of one
}

// cores is this node's fair share of the host's cores, now: several nodes that each take all cores
// are far slower than one.
func (f *fleet) cores() int {
	return max(1, runtime.NumCPU()/max(1, coordinator.SameHost(f.peers.Members(), f.host)))
}

// start joins the fleet, or makes a fleet of one when neither --join nor --bind is given.
func (o fleetOptions) start(ctx context.Context, plan run.Plan, st store.Store, c *console) (*fleet, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("ask for the host name: %w", err)
	}
	started := time.Now()
	f := &fleet{node: coordinator.NewNodeID(host, os.Getpid(), started), host: host}
	if f.peers, err = o.peers(ctx, f, plan, c); err != nil {
		return nil, err
	}
	cfg := coordinator.DefaultConfig()
	cfg.Node, cfg.Host, cfg.Started = f.node, host, started
	cfg.Units, cfg.PlanID = plan.NumUnits(), shortPlanID(plan)
	cfg.ExpectedUnit = expectedUnit
	f.coordinator, err = coordinator.New(cfg, collector.Ledger{Store: st, Plan: plan}, f.peers)
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// expectedUnit is what a unit is taken to last before one was measured: units are cut to some
// seconds of work for small models and half a minute for large ones.
const expectedUnit = 5 * time.Second

// shortPlanID is what the plan is called in every message, some of them sent a dozen times: a quarter of its id tells plans
// apart.
func shortPlanID(p run.Plan) string { return p.ID()[:16] }

func (o fleetOptions) peers(ctx context.Context, f *fleet, plan run.Plan, c *console) (coordinator.Peers, error) {
	if len(o.join) == 0 && o.bind == "" {
		return coordinator.Alone(f.node, f.host, shortPlanID(plan), plan.NumUnits()), nil
	}
	secret, err := o.secret()
	if err != nil {
		return nil, err
	}
	f.gossip, err = gossip.Start(ctx, gossip.Config{
		Bind: o.bind, Join: o.join, Secret: secret, PlanID: shortPlanID(plan), Units: plan.NumUnits(),
		Node: f.node, Host: f.host, Preset: gossip.PresetFor(o.bind, o.join), Logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}
	c.tell("fleet: %s listens on %s", f.node, f.gossip.Addr())
	return f.gossip, nil
}

// Progress is where the run stands.
func (f *fleet) Progress() coordinator.Progress { return f.coordinator.Progress() }

// Gossip returns the counters of gossip, false for a fleet of one.
func (f *fleet) Gossip() (gossip.Stats, bool) {
	if f.gossip == nil {
		return gossip.Stats{}, false
	}
	return f.gossip.Stats(), true
}

// close says goodbye to the fleet.
func (f *fleet) close() error {
	if f.coordinator != nil {
		f.coordinator.Leave()
	}
	if f.gossip == nil {
		return nil
	}
	return f.gossip.Close()
}
