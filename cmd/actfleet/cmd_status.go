package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"actfleet/cmd/actfleet/watch"
	"actfleet/coordinator"
	"actfleet/coordinator/gossip"
	"actfleet/shard/run"
)

type statusOptions struct {
	run            string
	fleet          fleetOptions
	watch, jsonOut bool
}

func newStatus() *cobra.Command {
	var o statusOptions
	c := &cobra.Command{
		Use:   "status RUN | --join HOST:PORT",
		Short: "Show a run's progress: its units, and with --join its nodes, rates and ETA",
		Long:  "Reads the run's directory or bucket, or asks a node of its fleet.\n" + exitCodes,
		Args:  usage(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.run = args[0]
			}
			if (o.run == "") == (len(o.fleet.join) == 0) {
				return fmt.Errorf("%w: status needs a RUN or --join HOST:PORT", errUsage)
			}
			return runStatus(c.Context(), o, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringSliceVar(&o.fleet.join, "join", nil, "addresses HOST:PORT of nodes to ask")
	f.StringVar(&o.fleet.secretFile, "secret-file", "", "file with the fleet's key")
	f.BoolVar(&o.watch, "watch", false, "follow the run until it is complete: full screen on a terminal (q quits), otherwise a line at each change")
	f.BoolVar(&o.jsonOut, "json", false, "print JSON")
	return c
}

func runStatus(ctx context.Context, o statusOptions, out io.Writer) error {
	if o.watch && !o.jsonOut {
		return watchStatus(ctx, o, out)
	}
	for {
		p, err := status(ctx, o)
		if err != nil {
			return err
		}
		if err := printStatus(out, o, p); err != nil {
			return err
		}
		if !o.watch || p.Done == p.Total {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// progress is what status shows: of a run also the shards that cannot be any, a line each.
type progress struct {
	coordinator.Progress
	damaged []string
	gone    int    // units of a ring that are committed and deleted
	ring    string // what it waits for
}

// status asks the fleet, or lists the run.
func status(ctx context.Context, o statusOptions) (p progress, err error) {
	if o.run == "" {
		secret, err := o.fleet.secret()
		if err != nil {
			return p, err
		}
		seen, err := gossip.Peek(ctx, o.fleet.join, secret)
		if err != nil {
			return p, err
		}
		return progress{Progress: seen.Progress(time.Now())}, nil
	}
	st, plan, err := openRun(ctx, o.run)
	if err != nil {
		return p, err
	}
	s, err := run.Look(ctx, st, plan)
	if err != nil {
		return p, err
	}
	p = progress{Progress: coordinator.Progress{Done: s.Count(run.Present) + s.Count(run.Deleted), Total: len(s.Units), ETA: -1}, damaged: s.Damaged, gone: s.Count(run.Deleted)}
	p.ring, err = ringLine(ctx, st, plan)
	return p, err
}

func printStatus(out io.Writer, o statusOptions, p progress) error {
	if o.jsonOut {
		return printJSON(out, statusView(p))
	}
	line := fmt.Sprintf("%d of %d units committed", p.Done, p.Total)
	if p.InHand > 0 {
		line += fmt.Sprintf(" (%.0f %%)", 100*p.Part())
	}
	if p.Throughput > 0 {
		line += fmt.Sprintf(", %.3g units/s", p.Throughput)
	}
	if p.ETA > 0 {
		line += ", ETA " + timeText(p.ETA)
	}
	if p.gone > 0 {
		line += fmt.Sprintf(", %d of them acknowledged by every reader of the ring and deleted", p.gone)
	}
	if n := len(p.damaged); n > 0 {
		line += fmt.Sprintf(", damaged: %d", n)
	}
	fmt.Fprintln(out, line)
	for _, d := range p.damaged {
		fmt.Fprintln(out, "damaged:", d)
	}
	if p.ring != "" {
		fmt.Fprintln(out, p.ring)
	}
	if len(p.Nodes) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "node\tstate\tunits\tshare\tunits/s\tlast word\tworks on")
	for _, n := range p.Nodes {
		fmt.Fprintf(w, "%s\t%s\t%d\t%.0f %%\t%.3g\t%s ago\t%s\n", n.Node, n.State(), n.Done, 100*n.Share, n.Speed, timeText(n.Age), n.InHands())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if p.Bad > 0 {
		fmt.Fprintf(out, "%d messages of the fleet could not be read: another version, or somebody else sends to its ports\n", p.Bad)
	}
	return nil
}

// statusJSON is what status --json prints. ETASeconds is null while unknown.
type statusJSON struct {
	Done           int        `json:"done"`
	Total          int        `json:"total"`
	Damaged        []string   `json:"damaged"`        // a line each; of a run, not of a fleet
	Gone           int        `json:"gone,omitempty"` // of those done, in a ring: acknowledged by every reader and deleted
	UnitsPerSecond float64    `json:"units_per_second"`
	ETASeconds     *float64   `json:"eta_seconds"`
	Nodes          []nodeJSON `json:"nodes"`
	BadMessages    int64      `json:"bad_messages"` // that could not be read
}

type nodeJSON struct {
	Node            string  `json:"node"`
	Host            string  `json:"host"`
	State           string  `json:"state"`
	Done            int     `json:"done"`
	Share           float64 `json:"share"`
	UnitsPerSecond  float64 `json:"units_per_second"`
	LastWordSeconds float64 `json:"last_word_seconds"`
	SilentSeconds   float64 `json:"silent_seconds"` // 0 for a node that answers

	Units []unitJSON `json:"units"` // that it works on
}

type unitJSON struct {
	Unit    int `json:"unit"`
	Percent int `json:"percent"` // done
}

func statusView(p progress) statusJSON {
	v := statusJSON{Done: p.Done, Total: p.Total, Damaged: append([]string{}, p.damaged...), Gone: p.gone, UnitsPerSecond: p.Throughput, Nodes: []nodeJSON{}, BadMessages: p.Bad}
	if p.ETA >= 0 {
		left := p.ETA.Seconds()
		v.ETASeconds = &left
	}
	for _, n := range p.Nodes {
		hands := []unitJSON{}
		for _, c := range n.Claims {
			hands = append(hands, unitJSON{c.Unit, c.Percent})
		}
		v.Nodes = append(v.Nodes, nodeJSON{Node: string(n.Node), Host: n.Host, State: n.Condition(), Done: n.Done, Share: n.Share,
			UnitsPerSecond: n.Speed, LastWordSeconds: n.Age.Seconds(), SilentSeconds: n.Silent.Seconds(), Units: hands})
	}
	return v
}

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
