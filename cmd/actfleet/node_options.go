package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/pflag"
)

// nodeOptions are the flags about a collecting process, not about what it collects.
type nodeOptions struct {
	http                string
	grace               time.Duration
	logLevel, logFormat string
}

func (o *nodeOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.http, "http", "", "serve /metrics, /healthz and /debug/pprof on 127.0.0.1:PORT")
	f.DurationVar(&o.grace, "grace", 20*time.Second, "when interrupted, finish what is in hand if that takes no longer")
	f.StringVar(&o.logLevel, "log-level", "", "debug, info, warn or error (default info; on a terminal, where a line shows the progress, warn)")
	f.StringVar(&o.logFormat, "log-format", "text", "of the log on stderr: text or json")
}

func (o nodeOptions) check() error {
	var level slog.Level
	switch {
	case o.grace < 0:
		return fmt.Errorf("%w: --grace cannot be negative", errUsage)
	case o.logLevel != "" && level.UnmarshalText([]byte(o.logLevel)) != nil:
		return fmt.Errorf("%w: --log-level %s: want debug, info, warn or error", errUsage, o.logLevel)
	case o.logFormat != "text" && o.logFormat != "json":
		return fmt.Errorf("%w: --log-format %s: want text or json", errUsage, o.logFormat)
	}
	return nil
}
