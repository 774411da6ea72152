package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"actfleet/cmd/actfleet/watch"
	"actfleet/coordinator/gossip"
	"actfleet/shard/run"
)

// watchStatus shows a run until it is complete: on the whole screen of a terminal, in lines elsewhere.
func watchStatus(ctx context.Context, o statusOptions, out io.Writer) error {
	next, end, err := statusSource(ctx, o)
	if err != nil {
		return err
	}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		err = watch.Screen(ctx, f, next)
	} else {
		err = watch.Lines(ctx, out, next)
	}
	return errors.Join(err, end())
}

// statusSource is a run, whose commits it lists, or a fleet, in whose gossip it listens. end leaves it.
func statusSource(ctx context.Context, o statusOptions) (next watch.Source, end func() error, err error) {
	if o.run == "" {
		return fleetSource(ctx, o.fleet)
	}
	st, plan, err := openRun(ctx, o.run)
	if err != nil {
		return nil, nil, err
	}
	list := func(ctx context.Context) ([]bool, error) {
		s, err := run.Look(ctx, st, plan)
		return s.Done(), err
	}
	l := &watch.Listing{Name: o.run, List: list, Now: time.Now}
	return l.Frame, func() error { return nil }, nil
}

// fleetPatience is how long a watched fleet may have no live node before it counts as ended: longer than the
// detection of a death that was none.
const fleetPatience = time.Minute

func fleetSource(ctx context.Context, o fleetOptions) (watch.Source, func() error, error) {
	secret, err := o.secret()
	if err != nil {
		return nil, nil, err
	}
	fleet, err := gossip.Observe(ctx, o.join, secret, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	name, alive := strings.Join(o.join, ", "), time.Now()
	next := func(context.Context) (watch.Frame, error) {
		s, now := fleet.Snapshot(), time.Now()
		f := watch.FromState(name, s.State, s.Members, now)
		if len(s.Members) > 0 {
			alive = now
		} else if f.AllLeft() || now.Sub(alive) > fleetPatience {
			return f, watch.ErrOver
		}
		return f, nil
	}
	return next, fleet.Close, nil
}
