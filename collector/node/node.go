package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"actfleet/collector"
	"actfleet/coordinator"
	"actfleet/shard/run"
	"actfleet/shard/store"
)

// Config is one node's part of a run.
type Config struct {
	Job   *Job
	Store store.Store // of the run
	Dir   string      // of the run, where the log grows line by line; empty in a bucket, where it is put in pieces
	Fleet FleetConfig

	// Started is when the process began.
	Started time.Time
	// Version is the commit the program was built from, for the log.
	Version string
	// Threads is how many batches go through the model side by side; 0 means as many as the copies of the model
	// take, or this node's fair share of the host's cores.
	Threads int
	// Grace is how long a node that is told to stop may still work.
	Grace time.Duration
	// Signals pause the node (SIGUSR1) and resume it (SIGUSR2); see CatchSignals.
	Signals <-chan os.Signal
	// Encode and Token are the bpe's: text to ids without special tokens, and id to readable text.
	Encode func(text string) []int32
	Token  func(id int32) string
}

// Observer is told what happens to a node, to show it to people. Its methods may be called from any goroutine.
type Observer interface {
	// Joined is called once, before Observe.
	Joined(f *Fleet)
	// Observe receives what is written to the log.
	Observe(e collector.Event)
	// Tell receives a line that whoever started the node must know at any level, such as the address to join by.
	Tell(format string, args ...any)
}

// node is a node that has joined its fleet.
type node struct {
	cfg      Config
	observer Observer
	fleet    *Fleet
	log      *runLog
}

// Run publishes the plan and the prompts, joins the fleet and works until the run is whole. When ctx ends the node
// drains; the error then says how far the run is, and is context.Canceled. Otherwise errors are of the store, the
// fleet, or those of collector.Collect.
func Run(ctx context.Context, cfg Config, o Observer) (collector.Summary, error) {
	if err := cfg.Job.publish(ctx, cfg.Store); err != nil {
		return collector.Summary{}, err
	}
	n, err := join(ctx, cfg, o)
	if err != nil {
		return collector.Summary{}, err
	}
	stopSignals := n.obeySignals()
	sum, err := n.collect(ctx)
	stopSignals()
	n.observe(leaveEvent(ctx, err))
	if stopped(ctx, err) {
		err = interrupted{n.fleet.Progress()}
	}
	return sum, errors.Join(err, n.log.close(), n.fleet.Close())
}

// join joins the fleet and opens the log.
func join(ctx context.Context, cfg Config, o Observer) (*node, error) {
	fleet, err := Join(ctx, cfg.Fleet, cfg.Store, cfg.Job.Plan, cfg.Started)
	if err != nil {
		return nil, err
	}
	if addr := fleet.Addr(); addr != "" {
		o.Tell("fleet: %s listens on %s", fleet.ID, addr)
	}
	log, err := openLog(ctx, cfg.Store, cfg.Dir, fleet.ID, cfg.Started)
	if err != nil {
		return nil, errors.Join(err, fleet.Close())
	}
	o.Joined(fleet)
	n := &node{cfg: cfg, observer: o, fleet: fleet, log: log}
	n.observe(collector.Event{Time: time.Now(), Event: "start", Host: fleet.Host, PID: os.Getpid(), Message: cfg.Version})
	return n, nil
}

// collect works until the run is whole, or until the node was told to stop and its unit is finished or dropped.
func (n *node) collect(ctx context.Context) (collector.Summary, error) {
	d := n.readyToDrain(ctx)
	defer d.close()
	job, st := n.cfg.Job, n.cfg.Store
	ctx, release, err := n.keepRing(d.graceCtx)
	if err != nil {
		return collector.Summary{}, err
	}
	sum, err := collector.Collect(ctx, collector.Config{
		Node: string(n.fleet.ID), Store: st, Plan: job.Plan, Input: job.Input, Model: job.Model, Fleet: n.fleet.Coordinator,
		Lanes: n.lanes, Encode: n.cfg.Encode, Token: n.cfg.Token,
		Stop: d.stopRequested, Drop: d.unitCtx, Observe: n.observe, Now: time.Now,
	})
	if last := release(); err == nil {
		err = last
	}
	if err == nil {
		err = n.finish(d.graceCtx)
	}
	if err == nil {
		err = n.warn(d.graceCtx)
	}
	return sum, err
}

// ErrIncomplete says that what was committed is not there any more at the end.
var ErrIncomplete = errors.New("the run is not complete")

// finish writes the manifest and believes only what a last listing shows: somebody may have removed a unit, or all of
// the run, since it was committed.
func (n *node) finish(ctx context.Context) error {
	st, plan := n.cfg.Store, n.cfg.Job.Plan
	there, err := run.ReadPlan(ctx, st)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: %s in %s was removed meanwhile; collect it again", ErrIncomplete, run.KeyPlan, st)
	}
	if err == nil && there.ID() != plan.ID() {
		return fmt.Errorf("%w: %s in %s is another one than at the beginning", ErrIncomplete, run.KeyPlan, st)
	}
	if err == nil {
		_, _, err = run.Finish(ctx, st, plan)
	}
	if err != nil {
		return err
	}
	s, err := run.Look(ctx, st, plan)
	if err != nil {
		return err
	}
	if len(s.Damaged) > 0 {
		return fmt.Errorf("%w: %s; delete what is damaged, and the same command goes on", ErrIncomplete, strings.Join(s.Damaged[:min(len(s.Damaged), shownUnits)], "; "))
	}
	var gone []string
	for u, state := range s.Units {
		if state == run.Missing {
			gone = append(gone, run.UnitKey(u))
		}
	}
	if len(gone) > 0 {
		return fmt.Errorf("%w: %d of its units were removed from %s meanwhile, %s among them; the same command goes on", ErrIncomplete, len(gone), st,
			strings.Join(gone[:min(len(gone), shownUnits)], ", "))
	}
	return nil
}

// shownUnits is how many units an error names.
const shownUnits = 4

// lanes is how many batches go through the model side by side now.
func (n *node) lanes() int {
	copies, ok := n.cfg.Job.Model.(interface{ Passes() int })
	switch {
	case n.cfg.Threads > 0:
		return n.cfg.Threads
	case ok:
		return copies.Passes()
	}
	return n.fleet.cores()
}

// warn says so when a run is whole but disputed: some node, perhaps not this one, made a unit differently.
func (n *node) warn(ctx context.Context) error {
	rivals, err := run.Rivals(ctx, n.cfg.Store, n.cfg.Job.Plan)
	for _, r := range rivals {
		n.cfg.Fleet.Logger.Warn("a unit is disputed", "unit", r.Unit, "why", r)
	}
	return err
}

// observe passes on what happens, to the run's log, or the fleet, and to people.
func (n *node) observe(e collector.Event) {
	if e.Progress != nil {
		n.fleet.Coordinator.Advance(*e.Unit, e.Progress.Part)
	} else {
		n.log.write(e)
	}
	n.observer.Observe(e)
}

// leaveEvent is the last event of the log.
func leaveEvent(ctx context.Context, err error) collector.Event {
	e := collector.Event{Time: time.Now(), Event: "leave"}
	switch {
	case stopped(ctx, err):
		e.Message = "interrupted"
	case err != nil:
		e.Event, e.Message = "error", err.Error()
	}
	return e
}

// stopped says whether an error only means that the node was told to stop.
func stopped(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled)
}

// interrupted is the error of a node that was told to stop.
type interrupted struct{ coordinator.Progress }

func (i interrupted) Error() string {
	return fmt.Sprintf("interrupted with %d of %d units committed; the same command goes on", i.Done, i.Total)
}

// Is makes it a context.Canceled.
func (interrupted) Is(target error) bool { return target == context.Canceled }
