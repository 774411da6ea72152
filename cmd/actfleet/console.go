package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"

	"actfleet/cmd/actfleet/monitor"
)

// console is how people see and steer a collecting process: a log on stderr, above a line of progress on a terminal;
// metrics over HTTP; and the signals that pause it.
type console struct {
	*slog.Logger
	meter   *meter
	json    bool
	monitor *monitor.Server // nil without --http
	pauses  chan os.Signal
}

// open opens the console of a process whose stderr is f.
func (o nodeOptions) open(f *os.File) (*console, error) {
	c := &console{meter: newMeter(f), json: o.logFormat == "json", pauses: catchPauses()}
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
	c.tell("fleet: metrics on http://%s/metrics", c.monitor.Addr())
	return c, nil
}

func handler(w io.Writer, json bool, level slog.Level) slog.Handler {
	options := &slog.HandlerOptions{Level: level}
	if json {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

// tell says what whoever started the process must know at any level, such as the address to join by.
func (c *console) tell(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if c.json {
		slog.New(slog.NewJSONHandler(c.meter, nil)).Info(line)
		return
	}
	fmt.Fprintln(c.meter, line)
}

func (c *console) close() error {
	signal.Stop(c.pauses)
	if c.monitor == nil {
		return nil
	}
	return c.monitor.Close()
}
