package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"actfleet/collector/node"
	"actfleet/coordinator/gossip"
	"actfleet/internal/smallfile"
)

// nodeOptions are the flags about a collecting process, not about what it collects.
type nodeOptions struct {
	http                string
	grace               time.Duration
	logLevel, logFormat string
}

func (o *nodeOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.http, "http", "", "serve /metrics, /healthz and /debug/pprof on 127.0.0.1:PORT")
	f.DurationVar(&o.grace, "grace", 20*time.Second, "when interrupted, finish the current unit if that takes no longer")
	f.StringVar(&o.logLevel, "log-level", "", "debug, info, warn or error (default info; warn on a terminal, which shows a progress line)")
	f.StringVar(&o.logFormat, "log-format", "text", "format of the log on stderr: text or json")
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

// fleetOptions are the flags with which a node finds its fleet.
type fleetOptions struct {
	join       []string
	bind       string
	secretFile string
}

func (o *fleetOptions) flags(f *pflag.FlagSet) {
	f.StringSliceVar(&o.join, "join", nil, "addresses HOST:PORT of any nodes of the fleet to join")
	f.StringVar(&o.bind, "bind", "", "address to gossip on (with --join: 127.0.0.1:0, any free port); without --bind and --join no network is used")
	f.StringVar(&o.secretFile, "secret-file", "", "file with the fleet's 16, 24 or 32 byte key; gossip is encrypted with it")
}

// maxSecret bounds a file with a key and a line's end.
const maxSecret = 64

// check refuses what the fleet could not be joined with, before anything is written.
func (o fleetOptions) check(ctx context.Context) error {
	secret, err := o.secret()
	if err != nil {
		return err
	}
	return gossip.Check(ctx, o.bind, o.join, secret)
}

// secret reads the fleet's key; none is given without --secret-file.
func (o fleetOptions) secret() ([]byte, error) {
	if o.secretFile == "" {
		return nil, nil
	}
	key, err := smallfile.Read(o.secretFile, maxSecret)
	if err != nil {
		return nil, fmt.Errorf("read --secret-file: %w", err)
	}
	return []byte(strings.TrimRight(string(key), "\r\n")), nil
}

// config is what the flags say, with the log that gossip writes to.
func (o fleetOptions) config(log *slog.Logger) (node.FleetConfig, error) {
	secret, err := o.secret()
	return node.FleetConfig{Join: o.join, Bind: o.bind, Secret: secret, Logger: log}, err
}
