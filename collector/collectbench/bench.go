package collectbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"actfleet/collector"
	"actfleet/coordinator"
	"actfleet/shard"
	"actfleet/shard/store/local"
)

// Config is what to measure.
type Config struct {
	// Collect is the run; its Store, Fleet and Observe are the bench's own.
	Collect collector.Config
	// Dir is where the bench may write; what it writes is removed again.
	Dir string
	// Rounds is how often each side runs.
	Rounds int
}

// Result holds medians over the rounds.
type Result struct {
	Rows        int64   `json:"rows"`
	Bytes       int64   `json:"bytes"`
	BareSeconds float64 `json:"bare_seconds"`
	FullSeconds float64 `json:"full_seconds"`
	Ratio       float64 `json:"ratio"` // full over bare, median of the rounds' ratios
	RowsPerSec  float64 `json:"rows_per_second"`
	BytesPerSec float64 `json:"bytes_per_second"`
	BlockBytes  int64   `json:"block_bytes"` // one row group of all columns
}

// Run measures both sides Rounds times, in turn.
func Run(ctx context.Context, cfg Config) (Result, error) {
	var bare, full, ratio []float64
	var sum collector.Summary
	for round := range cfg.Rounds + 1 {
		b, err := timed(func() error { return collector.Bare(ctx, cfg.Collect) })
		if err != nil {
			return Result{}, fmt.Errorf("bare forward: %w", err)
		}
		f, err := inDir(cfg.Dir, func(dir string) (err error) { sum, err = collect(ctx, cfg.Collect, dir); return err })
		if err != nil {
			return Result{}, fmt.Errorf("collect: %w", err)
		}
		if round > 0 { // the first one warms up
			bare, full, ratio = append(bare, b), append(full, f), append(ratio, f/b)
		}
	}
	r := Result{Rows: sum.Rows, Bytes: sum.Bytes, BareSeconds: median(bare), FullSeconds: median(full), Ratio: median(ratio)}
	r.RowsPerSec, r.BytesPerSec = float64(r.Rows)/r.FullSeconds, float64(r.Bytes)/r.FullSeconds
	for _, v := range cfg.Collect.Plan.Vectors {
		r.BlockBytes += int64(v.RowBytes()) * shard.RowGroupRows
	}
	return r, nil
}

// inDir times f in a fresh directory; removing what f wrote is not timed.
func inDir(parent string, f func(dir string) error) (seconds float64, err error) {
	dir, err := os.MkdirTemp(parent, "actfleet-bench-")
	if err != nil {
		return 0, err
	}
	seconds, err = timed(func() error { return f(dir) })
	return seconds, errors.Join(err, os.RemoveAll(dir))
}

// collect runs the whole plan into a run directory.
func collect(ctx context.Context, c collector.Config, dir string) (collector.Summary, error) {
	st, err := local.New(filepath.Clean(dir))
	if err != nil {
		return collector.Summary{}, err
	}
	c.Store, c.Observe = st, func(collector.Event) {}
	plan := c.Plan
	cc := coordinator.DefaultConfig()
	cc.Node, cc.Units, cc.Salt = "bench", plan.NumUnits(), plan.ID()
	c.Fleet, err = coordinator.New(cc, collector.Ledger{Store: st, Plan: plan}, coordinator.Alone("bench", "", plan.ID(), plan.NumUnits()))
	if err != nil {
		return collector.Summary{}, err
	}
	return collector.Collect(ctx, c)
}

func timed(f func() error) (seconds float64, err error) {
	began := time.Now()
	err = f()
	return time.Since(began).Seconds(), err
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
