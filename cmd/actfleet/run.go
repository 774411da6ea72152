package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/store/local"
	"actfleet/shard/store/retry"
	"actfleet/shard/store/s3"
)

// openStore opens the store of a run: a bucket for s3://bucket/prefix, otherwise a directory, which is made when write
// is set. A bucket that is written to is refused unless its server honours put-if-absent.
func openStore(ctx context.Context, run string, write bool) (store.Store, error) {
	scheme, _, isURL := strings.Cut(run, "://")
	switch {
	case isURL && scheme+"://" == s3.Scheme:
		cfg := s3.FromEnv()
		cfg.ReadOnly = !write
		st, err := s3.Open(ctx, run, cfg)
		if err != nil {
			return nil, err
		}
		return retry.Wrap(st, retry.Default), nil
	case isURL:
		return nil, fmt.Errorf("%w: %s: want a directory or s3://bucket/prefix", errUsage, run)
	case write:
		if err := os.MkdirAll(run, 0o777); err != nil {
			return nil, fmt.Errorf("make the run's directory: %w", err)
		}
	}
	return local.New(run)
}

// inBucket says whether a run lies in a bucket rather than a directory.
func inBucket(run string) bool { return strings.HasPrefix(run, s3.Scheme) }

// errNoRun says that nothing has been collected there yet.
var errNoRun = errors.New("no run at")

// openRun opens a run that exists, for reading, and reads its plan.
func openRun(ctx context.Context, run string) (store.Store, run.Plan, error) {
	return openRunFor(ctx, run, false)
}

// openRunFor is openRun for those that also write.
func openRunFor(ctx context.Context, name string, write bool) (store.Store, run.Plan, error) {
	if stat, err := os.Stat(name); !strings.Contains(name, "://") && (err != nil || !stat.IsDir()) {
		return nil, run.Plan{}, fmt.Errorf("%w %s: it is not a directory", errNoRun, name)
	}
	st, err := openStore(ctx, name, write)
	if err != nil {
		return nil, run.Plan{}, err
	}
	plan, err := run.ReadPlan(ctx, st)
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("%w %s: there is no %s in it", errNoRun, name, run.KeyPlan)
	}
	return st, plan, err
}

func baseName(path string) string { return filepath.Base(path) }

// printJSON writes v as indented JSON and a line break.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
