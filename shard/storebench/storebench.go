package storebench

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"actfleet/shard"
)

// Result is one measured number beside its limit.
type Result struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"` // median
	Unit  string  `json:"unit"`
	Limit string  `json:"limit"` // what the limit is
	Bound float64 `json:"bound"` // the limit's own median, in Unit
	Ratio float64 `json:"ratio"` // median of Value/Bound per round
	Aim   float64 `json:"aim"`   // the ratio we want at least; 0 where there is none
}

// Rounds is how often each pair is measured: a median of nine stands four disturbed rounds.
const Rounds = 9

// fileBytes is about the size of the shard that is written and read: a hundred row groups or so, more than any cache.
const fileBytes = 128 << 20

// benchSchema has so many vector columns of one width.
func benchSchema(columns, width int) shard.Schema {
	s := shard.Schema{Scalars: shard.BaseScalars()}
	for i := range columns {
		s.Vectors = append(s.Vectors, shard.Vector{Name: fmt.Sprintf("resid_%d", i), Width: width, Dtype: shard.F16})
	}
	return s
}

// Run measures in dir, which it fills with some hundred megabytes and leaves as it found it, and hands each result to
// out as it comes. An error of out ends the run.
func Run(ctx context.Context, dir string, out func(Result) error) error {
	return runRounds(ctx, dir, Rounds, out)
}

func runRounds(ctx context.Context, dir string, rounds int, out func(Result) error) (err error) {
	dir, err = os.MkdirTemp(dir, "storebench-")
	if err != nil {
		return err
	}
	defer func() {
		if e := os.RemoveAll(dir); err == nil {
			err = e
		}
	}()
	for _, m := range measures {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := m.run(ctx, dir, rounds)
		if err != nil {
			return fmt.Errorf("bench %s: %w", m.name, err)
		}
		if err := out(r); err != nil {
			return err
		}
	}
	return nil
}

// measure is a pair of things that take turns. Each returns how much it did, in units, and prepares without being timed.
type measure struct {
	name, unit, limit string
	aim               float64
	setup             func(ctx context.Context, dir string) (*pair, error)
}

// pair is what is timed. Both return the amount of work done: bytes or values.
type pair struct {
	ours, bound func() (amount int64, err error)
	close       func() error
}

func (m measure) run(ctx context.Context, dir string, rounds int) (r Result, err error) {
	p, err := m.setup(ctx, dir)
	if err != nil {
		return r, err
	}
	defer func() {
		if e := p.close(); err == nil {
			err = e
		}
	}()
	var values, bounds, ratios []float64
	for round := range rounds + 1 {
		bound, err := rate(p.bound)
		if err != nil {
			return r, err
		}
		value, err := rate(p.ours)
		if err != nil {
			return r, err
		}
		if round == 0 {
			continue // the first touch of fresh memory costs several times as much
		}
		values, bounds, ratios = append(values, value), append(bounds, bound), append(ratios, value/bound)
	}
	return Result{Name: m.name, Unit: m.unit, Limit: m.limit, Aim: m.aim, Value: median(values), Bound: median(bounds), Ratio: median(ratios)}, nil
}

// rate is millions per second.
func rate(f func() (int64, error)) (float64, error) {
	start := time.Now()
	n, err := f()
	return float64(n) / 1e6 / time.Since(start).Seconds(), err
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
