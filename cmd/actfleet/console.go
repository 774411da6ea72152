package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"actfleet/cmd/actfleet/monitor"
	"actfleet/collector"
	"actfleet/collector/node"
)

// console is how people see and steer a collecting process: a log on stderr, above a line of progress on a terminal;
// metrics over HTTP; and the signals that pause it.
type console struct {
	*slog.Logger
	meter   *meter
	json    bool
	monitor *monitor.Server // nil without --http
	signals <-chan os.Signal
	release func() // of the signals
	fleet   *node.Fleet
	spoke   time.Time // when the log last had a line about units
}

// open opens the console of a process whose stderr is f.
func (o nodeOptions) open(f *os.File) (*console, error) {
	c := &console{meter: newMeter(f), json: o.logFormat == "json"}
	c.signals, c.release = node.CatchSignals()
	level := slog.LevelInfo
	if c.meter.terminal {
		level = slog.LevelWarn
	}
	if o.logLevel != "" {
		_ = level.UnmarshalText([]byte(o.logLevel)) // check has seen it
	}
	c.Logger = slog.New(handler(c.meter, c.json, level))
	if o.http == "" {
		return c, nil
	}
	var err error
	if c.monitor, err = monitor.Serve(o.http, monitor.New(version())); err != nil {
		return nil, err
	}
	c.Tell("fleet: metrics on http://%s/metrics", c.monitor.Addr())
	return c, nil
}

func handler(w io.Writer, json bool, level slog.Level) slog.Handler {
	options := &slog.HandlerOptions{Level: level}
	if json {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// Tell says what whoever started the process must know at any level, such as the address to join by.
func (c *console) Tell(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if c.json {
		slog.New(slog.NewJSONHandler(c.meter, nil)).Info(line)
		return
	}
	fmt.Fprintln(c.meter, line)
}

// Joined takes the fleet, whose progress is shown from now on.
func (c *console) Joined(f *node.Fleet) {
	c.fleet = f
	if c.monitor != nil {
		c.monitor.Follow(f)
	}
}

// Observe shows what happens: in the log on stderr, a line for each unit that ends, and for one that takes long now and
// then; in the metrics and on the terminal.
func (c *console) Observe(e collector.Event) {
	c.logEvent(e)
	c.count(e)
	if !c.meter.terminal {
		return
	}
	switch e.Event {
	case "commit", "lost", "progress":
		if c.meter.due() {
			c.meter.show(c.line())
		}
	case "wait":
		c.meter.show(c.line() + ", the ring is full: waiting " + e.Message)
	case "leave", "error":
		c.meter.last(c.line())
	}
}

func (c *console) logEvent(e collector.Event) {
	switch e.Event {
	case "start":
		c.Info("node starts", "node", c.fleet.ID, "pid", e.PID, "commit", e.Message)
		c.spoke = e.Time
	case "claim":
		c.Debug("unit claimed", "unit", *e.Unit)
	case "drop":
		c.Info("unit dropped", "unit", *e.Unit) // why is said when the command ends
	case "overtaken":
		c.Info("unit dropped, another node was first", "unit", *e.Unit)
	case "wait":
		c.Info("the ring is full: waiting " + e.Message)
	case "memory":
		c.Warn(e.Message)
	case "leave":
		c.Info("node leaves", "node", c.fleet.ID)
	case "commit":
		c.logUnit("unit committed", e, "rows", e.Rows, "bytes", e.Bytes, "seconds", round(e.Seconds))
	case "lost":
		c.logUnit("unit was committed by another node first", e, "rows", e.Rows, "bytes", e.Bytes, "seconds", round(e.Seconds))
	case "progress":
		if e.Time.Sub(c.spoke) >= logEvery {
			c.logUnit("unit goes on", e, "prompts", e.Progress.Prompts, "of", e.Progress.Of)
		}
	}
}

// logEvery is how long the log may be without a line about a unit.
const logEvery = 10 * time.Second

// logUnit logs a line about a unit, and where the run stands.
func (c *console) logUnit(words string, e collector.Event, args ...any) {
	p := c.fleet.Progress()
	args = append([]any{"unit", *e.Unit}, args...)
	args = append(args, "done", p.Done, "total", p.Total)
	if p.ETA >= 0 {
		args = append(args, "eta_seconds", round(p.ETA.Seconds()))
	}
	c.Info(words, args...)
	c.spoke = e.Time
}

// round keeps milliseconds.
func round(seconds float64) float64 { return float64(int64(seconds*1e3+0.5)) / 1e3 }

func (c *console) count(e collector.Event) {
	if c.monitor == nil {
		return
	}
	switch e.Event {
	case "commit", "lost":
		c.monitor.Commit(e.Event == "commit", e.Rows, e.Bytes, time.Duration(e.Seconds*float64(time.Second)))
	case "drop", "overtaken":
		c.monitor.Drop()
	case "progress":
		c.monitor.Prompts(e.Progress.Batch)
	}
}

// line is the state of the run on a terminal.
func (c *console) line() string {
	p := c.fleet.Progress()
	line := fmt.Sprintf("%d of %d units", p.Done, p.Total)
	for _, n := range p.Nodes {
		if n.Self && len(n.Claims) > 0 {
			line += ", at " + n.InHands()
		}
	}
	if p.Throughput > 0 {
		line += fmt.Sprintf(", %.3g units/s, ETA %s", p.Throughput, timeText(p.ETA))
	}
	return line
}

func (c *console) close() error {
	c.release()
	if c.monitor == nil {
		return nil
	}
	return c.monitor.Close()
}
