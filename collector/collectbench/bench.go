package collectbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
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
	Bare        Cost    `json:"bare"`
	Full        Cost    `json:"full"`
	Ratio       Cost    `json:"ratio"` // full over bare, median of the rounds' ratios
	RowsPerSec  float64 `json:"rows_per_second"`
	BytesPerSec float64 `json:"bytes_per_second"`
	BlockBytes  int64   `json:"block_bytes"` // one row group of all columns
}

// Cost is what one side took, in seconds: by the clock, and of this process's processor time, which says
// the same on a machine that others use too.
type Cost struct {
	Wall float64 `json:"wall"`
	CPU  float64 `json:"cpu"`
}

func (c Cost) over(d Cost) Cost { return Cost{Wall: c.Wall / d.Wall, CPU: c.CPU / d.CPU} }

// Run measures both sides Rounds times, in turn.
func Run(ctx context.Context, cfg Config) (Result, error) {
	var bare, full, ratio []Cost
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
			bare, full, ratio = append(bare, b), append(full, f), append(ratio, f.over(b))
		}
	}
	r := Result{Rows: sum.Rows, Bytes: sum.Bytes, Bare: median(bare), Full: median(full), Ratio: median(ratio)}
	r.RowsPerSec, r.BytesPerSec = float64(r.Rows)/r.Full.Wall, float64(r.Bytes)/r.Full.Wall
	for _, v := range cfg.Collect.Plan.Vectors {
		r.BlockBytes += int64(v.RowBytes()) * shard.RowGroupRows
	}
	return r, nil
}

// inDir times f in a fresh directory; removing what f wrote is not timed.
func inDir(parent string, f func(dir string) error) (c Cost, err error) {
	dir, err := os.MkdirTemp(parent, "actfleet-bench-")
	if err != nil {
		return c, err
	}
	c, err = timed(func() error { return f(dir) })
	return c, errors.Join(err, os.RemoveAll(dir))
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
	cc.Node, cc.Units, cc.PlanID = "bench", plan.NumUnits(), plan.ID()
	c.Fleet, err = coordinator.New(cc, collector.Ledger{Store: st, Plan: plan}, coordinator.Alone("bench", "", plan.ID(), plan.NumUnits()))
	if err != nil {
		return collector.Summary{}, err
	}
	return collector.Collect(ctx, c)
}

func timed(f func() error) (Cost, error) {
	before, err := processorTime()
	if err != nil {
		return Cost{}, err
	}
	began := time.Now()
	if err := f(); err != nil {
		return Cost{}, err
	}
	c := Cost{Wall: time.Since(began).Seconds()}
	after, err := processorTime()
	c.CPU = (after - before).Seconds()
	return c, err
}

// processorTime is what this process's threads have computed so far, the kernel's work for them included.
func processorTime() (time.Duration, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0, fmt.Errorf("ask for this process's processor time: %w", err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), nil
}

// median takes each field's median by itself.
func median(costs []Cost) Cost {
	middle := func(field func(Cost) float64) float64 {
		var v []float64
		for _, c := range costs {
			v = append(v, field(c))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return Cost{Wall: middle(func(c Cost) float64 { return c.Wall }), CPU: middle(func(c Cost) float64 { return c.CPU })}
}
