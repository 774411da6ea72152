package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"actfleet/shard"
	"actfleet/shard/store"
	"actfleet/shard/store/local"
)

// openStore opens the run's store for reading and writing, making its directory when create is set.
func openStore(run string, create bool) (store.Store, error) {
	if strings.Contains(run, "://") {
		return nil, fmt.Errorf("%w: run %s: this version keeps runs in directories", errUsage, run)
	}
	if create {
		if err := os.MkdirAll(run, 0o777); err != nil {
			return nil, fmt.Errorf("make the run's directory: %w", err)
		}
	}
	return local.New(run)
}

// openRun opens a run that exists and reads its plan.
func openRun(ctx context.Context, run string) (store.Store, shard.Plan, error) {
	if stat, err := os.Stat(run); err != nil || !stat.IsDir() {
		return nil, shard.Plan{}, fmt.Errorf("no run at %s: it is not a directory", run)
	}
	st, err := openStore(run, false)
	if err != nil {
		return nil, shard.Plan{}, err
	}
	plan, err := shard.ReadPlan(ctx, st)
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("no run at %s: there is no %s in it", run, shard.KeyPlan)
	}
	return st, plan, err
}

func modelFile(dir, name string) string { return filepath.Join(dir, name) }

func baseName(path string) string { return filepath.Base(path) }

// printJSON writes v as indented JSON and a line break.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// version is the commit the binary was built from, as Go records it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return info.Main.Version
}
