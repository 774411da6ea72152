package node

import (
	"context"
	"fmt"
	"time"

	"actfleet/collector"
	"actfleet/shard/run"
)

// A ring is looked at this often: soon again after something moved, and seldom while it stands still.
const (
	minRingLook = 50 * time.Millisecond
	maxRingLook = 2 * time.Second
)

// keepRing looks at the ring of a run now and then until the returned function is called, which looks a last time. The
// returned context ends, with the cause, when that fails. Of a run without a ring it does nothing.
func (n *node) keepRing(ctx context.Context) (keeping context.Context, release func() error, err error) {
	if n.cfg.Job.Plan.Ring == nil {
		return ctx, func() error { return nil }, nil
	}
	r := &ringKeeper{node: n}
	if err := r.look(ctx); err != nil {
		return ctx, nil, err
	}
	keeping, fail := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		fail(r.keep(keeping))
	}()
	return keeping, func() error {
		fail(nil)
		<-ended
		return r.look(ctx)
	}, nil
}

// ringKeeper is a node's part in a ring: it deletes what every reader has read, and keeps the node from filling it beyond
// its size.
type ringKeeper struct {
	node    *node
	limit   int
	waits   string // what the node was last said to wait for
	nothing int    // looks since something moved
}

// keep looks until ctx ends.
func (r *ringKeeper) keep(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(minRingLook<<min(r.nothing, 16), maxRingLook)):
		}
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// look takes in what the ring shows now.
func (r *ringKeeper) look(ctx context.Context) error {
	st := r.node.cfg.Store
	s, err := run.LookRing(ctx, st, r.node.cfg.Job.Plan)
	if err == nil {
		err = s.Sweep(ctx, st)
	}
	if err != nil {
		return fmt.Errorf("look at the ring: %w", err)
	}
	r.nothing++
	if limit := s.Limit(); limit != r.limit {
		r.limit, r.nothing = limit, 0
		r.node.fleet.Coordinator.Limit(limit)
	}
	r.tell(s)
	return nil
}

// tell says what a full ring waits for, whenever that changes.
func (r *ringKeeper) tell(s *run.RingState) {
	reader, unit, waits := s.Waits()
	text := ""
	if waits {
		text = fmt.Sprintf("for reader %s to read unit %d", reader, unit)
	}
	if text != "" && text != r.waits {
		r.node.observe(collector.Event{Time: time.Now(), Event: "wait", Unit: &unit, Message: text})
	}
	r.waits = text
}
