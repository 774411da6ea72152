package trainer

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"actfleet/trainer/measure"
	"actfleet/trainer/optim"
	"actfleet/trainer/ranks"
	"actfleet/trainer/stream"
)

// turn gives the next batch to the trainings of a feed: gradients, step, report,
// evaluation, checkpoint. It returns false when none needs another.
func (f *feed) turn(ctx context.Context) bool {
	if len(f.learning()) == 0 || f.ends(ctx) {
		return false
	}
	batch, waited, err := f.next(ctx)
	if err != nil {
		for _, t := range f.learning() {
			t.failed = t.stopped(ctx, err)
		}
		return false
	}
	f.step++
	for _, t := range f.learning() {
		if t.Step < f.step { // not one whose checkpoint is further on
			t.failed = t.learn(batch, waited, f.data.Cursor())
		}
	}
	f.conclude(ctx)
	return true
}

// next waits for a batch and measures the waiting.
func (f *feed) next(ctx context.Context) (b *stream.Batch, seconds float64, err error) {
	if ranks.Distributed(f.all[0].ranks) && f.all[0].Wait == nil {
		ctx = context.WithoutCancel(ctx) // an interruption ends all ranks after the same step
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	now := f.all[0].Now
	start := now()
	b, err = f.data.Next(ctx)
	return b, now().Sub(start).Seconds(), err
}

// conclude saves, evaluates and checkpoints what it is time for. An interruption waits
// for it, so that a resumed training has the same lines in metrics.jsonl.
func (f *feed) conclude(ctx context.Context) {
	var due []*training
	all := f.learning()
	for _, t := range all {
		if t.last() && t.writes() {
			t.failed = t.save(ctx)
		}
		if t.failed == nil && t.writes() && (t.last() || t.stepped && t.evaluates()) {
			due = append(due, t)
		}
	}
	f.evaluate(context.WithoutCancel(ctx), due)
	for _, t := range f.learning() {
		if t.last() {
			t.ended = true
		} else if t.stepped && t.checkpoints() {
			t.failed = t.checkpoint(ctx)
		}
		t.stepped = false
	}
	for _, t := range all {
		t.settle()
	}
}

// evaluate measures trainings on the first held-out rows, always the same ones, which
// are read once for all of them.
func (f *feed) evaluate(ctx context.Context, due []*training) {
	var views []view
	for _, t := range due {
		views = append(views, view{newMeter(t.learner), t.Recipe.Loop.EvalRows, t.Recipe.Loop.Micro})
	}
	if f.held != nil && len(views) > 0 {
		if err := meet(ctx, f.held, views); err != nil {
			f.fail(err)
			return
		}
	}
	for i, t := range due {
		t.eval = map[string]float64{}
		if f.held != nil {
			t.eval = views[i].meter.Metrics()
		}
		if t.failed == nil {
			t.failed = t.report(evalSplit, t.eval, densityOf(views[i].meter))
		}
	}
}

// view is a meter that looks at the first limit rows, micro at once.
type view struct {
	meter        measure.Meter
	limit, micro int
}

// add gives a meter its part of n rows of which others came before.
func (v view) add(b *stream.Batch, before int) error {
	n := min(b.N, v.limit-before)
	for lo := 0; lo < n; lo += v.micro {
		hi := min(lo+v.micro, n)
		if err := v.meter.Add(b.X[lo*b.D:hi*b.D], hi-lo); err != nil {
			return err
		}
	}
	return nil
}

// meet gives the rows from the beginning of a stream to meters.
func meet(ctx context.Context, s *stream.Stream, views []view) error {
	limit := 0
	for _, v := range views {
		limit = max(limit, v.limit)
	}
	return s.Head(ctx, limit, func(b *stream.Batch, before int) error {
		for _, v := range views {
			if err := v.add(b, before); err != nil {
				return err
			}
		}
		return nil
	})
}

// blame names the rows of a batch that are to blame for a value that is not finite.
func blame(err error, b *stream.Batch) string {
	if !errors.Is(err, optim.ErrNonFinite) {
		return ""
	}
	var bad []string
	for i, k := range b.Rows[b.From : b.From+b.N] {
		for _, v := range b.X[i*b.D : (i+1)*b.D] {
			if v-v != 0 && len(bad) < 4 {
				bad = append(bad, fmt.Sprintf("row %d pos %d of unit %d", k.Row, k.Pos, k.Unit))
				break
			}
		}
	}
	if len(bad) == 0 {
		return "; its rows are finite, so the training diverged: try a lower lr"
	}
	return "; the data are not finite at " + strings.Join(bad, ", ")
}
