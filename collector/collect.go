package collector

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"actfleet/coordinator"
	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/tap"
)

// Fleet decides which unit this node works on (package coordinator).
type Fleet interface {
	Next(ctx context.Context) (unit int, err error)
	Done(unit int, took time.Duration, won bool)
	Drop(unit int)
}

// Config is one node's part of a run.
type Config struct {
	Node  string // this node's name in the run
	Store store.Store
	Plan  run.Plan
	Input Prompts
	Model Model
	Fleet Fleet
	// Lanes says how many batches may now go through the model side by side.
	Lanes func() int
	// Encode and Token are the bpe's: text to ids without special tokens, and id to readable text.
	Encode func(text string) []int32
	Token  func(id int32) string
	// Observe receives what happens, in order, from one goroutine at a time; it must not block.
	Observe func(Event)
	// Now is the clock of events and timings.
	Now func() time.Time
}

// Summary is what one node did.
type Summary struct {
	Won, Lost int   // units committed first by this node; units another node committed first
	Rows      int64 // in the units won
	Bytes     int64
	Answers   *Answers // nil without choices
}

// Collect works until every unit of the plan is committed, by this node or others. It returns
// ErrNonFinite, ErrOverflow, the context's cause, or what the store and the model say.
func Collect(ctx context.Context, cfg Config) (Summary, error) {
	us, err := newUnits(cfg)
	if err != nil {
		return Summary{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer us.close()
	n := &node{cfg: cfg, units: us, fail: cancel}
	err = n.work(ctx)
	n.commits.Wait()
	if us.choices != nil {
		n.sum.Answers = us.choices.said.summary(cfg.Token)
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return n.sum, err
}

// work takes one unit after another; reaching the end of the plan is success.
func (n *node) work(ctx context.Context) error {
	for {
		u, err := n.cfg.Fleet.Next(ctx)
		if errors.Is(err, coordinator.ErrComplete) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := n.unit(ctx, u); err != nil {
			n.drop(u, err)
			return err
		}
	}
}

func newUnits(cfg Config) (*units, error) {
	us := &units{plan: cfg.Plan, planID: cfg.Plan.ID(), input: cfg.Input, lengths: cfg.Input.Lengths(), model: cfg.Model, token: cfg.Token, lanes: newLanes(cfg.Lanes)}
	rule, err := tap.ParseRule(cfg.Plan.Tokens)
	if err != nil {
		return nil, err
	}
	us.rule = rule
	for _, v := range cfg.Plan.Vectors {
		t, _, ok := tap.ParseColumn(v.Name)
		if !ok || cfg.Model.Width(t) != v.Width {
			return nil, fmt.Errorf("plan column %s of width %d does not fit model %s", v.Name, v.Width, cfg.Model.Info().Name)
		}
		us.taps = append(us.taps, t)
	}
	us.choices, err = parseChoices(cfg.Plan.Choices, cfg.Encode)
	return us, err
}

// node is the state of one Collect call: the unit being committed runs beside the one being computed.
type node struct {
	cfg     Config
	units   *units
	fail    context.CancelCauseFunc
	commits sync.WaitGroup // at most one commit runs at a time
	mu      sync.Mutex     // orders events and guards sum
	sum     Summary
}

// unit hands u's batches to the lanes and leaves the rest of it, to its commit, running.
func (n *node) unit(ctx context.Context, u int) error {
	started := n.cfg.Now()
	n.observe(Event{Event: "claim", Unit: &u})
	finish, err := n.units.compute(ctx, n.cfg.Store, u)
	if err != nil {
		return err
	}
	n.commits.Wait()
	n.commits.Go(func() {
		footer, err := commit(ctx, u, finish)
		if err = n.settle(ctx, u, footer, n.cfg.Now().Sub(started), err); err != nil {
			n.fail(err)
		}
	})
	return nil
}

// commit finishes a unit's file and puts it under its final key if no other is there.
func commit(ctx context.Context, u int, finish func() (written, error)) (shard.Footer, error) {
	w, err := finish()
	if err != nil {
		return shard.Footer{}, err
	}
	if err := w.pending.Commit(ctx); err != nil {
		return w.footer, errors.Join(fmt.Errorf("commit unit %d: %w", u, err), w.pending.Abort())
	}
	return w.footer, nil
}

// settle tells the fleet and the log how a unit's commit ended. Having lost the race is no error, unless
// the winner's shard is another one.
func (n *node) settle(ctx context.Context, u int, f shard.Footer, took time.Duration, err error) error {
	e := Event{Event: "commit", Unit: &u, Rows: f.Rows, Bytes: f.Size, Seconds: took.Seconds()}
	if errors.Is(err, store.ErrExists) {
		e.Event, e.Message = "lost", "duplicate, identical"
		err = n.compare(ctx, u, f)
	}
	if err != nil {
		n.drop(u, err)
		return err
	}
	n.cfg.Fleet.Done(u, took, e.Event == "commit")
	n.count(e)
	n.observe(e)
	return nil
}

func (n *node) count(e Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e.Event == "lost" {
		n.sum.Lost++
		return
	}
	n.sum.Won++
	n.sum.Rows += e.Rows
	n.sum.Bytes += e.Bytes
}

func (n *node) drop(u int, err error) {
	n.cfg.Fleet.Drop(u)
	n.observe(Event{Event: "drop", Unit: &u, Message: err.Error()})
}

func (n *node) observe(e Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e.Time = n.cfg.Now()
	n.cfg.Observe(e)
}
