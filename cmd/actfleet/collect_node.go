package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"actfleet/collector"
	"actfleet/coordinator"
	"actfleet/shard/run"
)

// thisNode is this process while it collects: its place in the fleet, and who is told what happens.
type thisNode struct {
	*fleet
	*console
	log *runLog
}

// collect publishes the plan and the input, then works until the run is whole.
func (j *job) collect(ctx context.Context, c *console, out io.Writer) error {
	n, err := j.node(ctx, c)
	if err != nil {
		return err
	}
	deaf := n.obeyPauses()
	sum, err := j.work(ctx, n)
	deaf()
	n.observe(n.farewell(ctx, err))
	if n.meter.terminal {
		n.meter.last(n.line())
	}
	return j.end(out, sum, n.interruption(ctx, err), n.log.close(), n.fleet.close())
}

// node joins the fleet and opens the log.
func (j *job) node(ctx context.Context, c *console) (*thisNode, error) {
	if err := j.publish(ctx); err != nil {
		return nil, err
	}
	fleet, err := j.o.fleet.start(ctx, j.plan, j.store, c)
	if err != nil {
		return nil, err
	}
	log, err := openLog(ctx, j.store, j.o.out, fleet.node, j.started)
	if err != nil {
		return nil, errors.Join(err, fleet.close())
	}
	if c.monitor != nil {
		c.monitor.Follow(fleet)
	}
	n := &thisNode{fleet: fleet, console: c, log: log}
	n.observe(collector.Event{Time: time.Now(), Event: "start", Host: fleet.host, PID: os.Getpid(), Message: version()})
	return n, nil
}

// work collects until the run is whole, or until it was interrupted and what is in hand is finished or dropped.
func (j *job) work(ctx context.Context, n *thisNode) (collector.Summary, error) {
	d := n.departing(ctx, j.o.node.grace)
	defer d.over()
	sum, err := collector.Collect(d.hard, collector.Config{
		Node: string(n.node), Store: j.store, Plan: j.plan, Input: j.input, Model: d.model(j.model), Fleet: d.fleet(n.coordinator),
		Lanes:  func() int { return j.lanes(n.fleet) },
		Encode: func(s string) []int32 { return j.text.Encode(s, false) }, Token: j.text.Token,
		Observe: n.observe, Now: time.Now,
	})
	if err == nil {
		_, _, err = run.Finish(d.hard, j.store, j.plan)
	}
	if err == nil {
		err = j.warn(d.hard, n)
	}
	return sum, err
}

// warn says so when a run is whole but disputed: some node, perhaps not this one, made a unit differently.
func (j *job) warn(ctx context.Context, n *thisNode) error {
	rivals, err := run.Rivals(ctx, j.store, j.plan)
	for _, r := range rivals {
		n.Warn("a unit is disputed", "unit", r.Unit, "why", r)
	}
	return err
}

// observe passes on what happens: to the run's log, the screen, stderr and the metrics.
func (n *thisNode) observe(e collector.Event) {
	n.log.write(e)
	n.say(e)
	n.count(e)
	if n.meter.terminal && (e.Event == "commit" || e.Event == "lost") {
		n.meter.show(n.line())
	}
}

// say writes a line on stderr: one for each unit that ends.
func (n *thisNode) say(e collector.Event) {
	switch e.Event {
	case "start":
		n.Info("node starts", "node", n.node, "pid", e.PID, "commit", e.Message)
	case "claim":
		n.Debug("unit claimed", "unit", *e.Unit)
	case "drop":
		n.Info("unit dropped", "unit", *e.Unit) // why is said when the command ends
	case "leave":
		n.Info("node leaves", "node", n.node)
	case "commit", "lost":
		p := n.coordinator.Progress()
		words := map[string]string{"commit": "unit committed", "lost": "unit was committed by another node first"}
		args := []any{"unit", *e.Unit, "rows", e.Rows, "bytes", e.Bytes, "seconds", round(e.Seconds), "done", p.Done, "total", p.Total}
		if p.ETA >= 0 {
			args = append(args, "eta_seconds", round(p.ETA.Seconds()))
		}
		n.Info(words[e.Event], args...)
	}
}

// round keeps milliseconds.
func round(seconds float64) float64 { return float64(int64(seconds*1e3+0.5)) / 1e3 }

func (n *thisNode) count(e collector.Event) {
	if n.monitor == nil {
		return
	}
	switch e.Event {
	case "commit", "lost":
		n.monitor.Commit(e.Event == "commit", e.Rows, e.Bytes, time.Duration(e.Seconds*float64(time.Second)))
	case "drop":
		n.monitor.Drop()
	}
}

// line is the state of the run on a terminal.
func (n *thisNode) line() string {
	p := n.coordinator.Progress()
	line := fmt.Sprintf("%d of %d units", p.Done, p.Total)
	if p.Throughput > 0 {
		line += fmt.Sprintf(", %.3g units/s, ETA %s", p.Throughput, timeText(p.ETA))
	}
	return line
}

// farewell is the last event of the log.
func (n *thisNode) farewell(ctx context.Context, err error) collector.Event {
	e := collector.Event{Time: time.Now(), Event: "leave"}
	switch {
	case err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled):
		e.Message = "interrupted"
	case err != nil:
		e.Event, e.Message = "error", err.Error()
	}
	return e
}

// interrupted is the error of a node that was told to stop.
type interrupted struct{ coordinator.Progress }

func (i interrupted) Error() string {
	return fmt.Sprintf("interrupted with %d of %d units committed; the same command goes on", i.Done, i.Total)
}

// Is makes it one of those errors that end with exitInterrupted.
func (interrupted) Is(target error) bool { return target == context.Canceled }

func (n *thisNode) interruption(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return interrupted{n.coordinator.Progress()}
	}
	return err
}
