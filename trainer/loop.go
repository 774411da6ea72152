package trainer

import (
	"context"
	"errors"
	"fmt"
	"io"

	"actfleet/shard/run"
	"actfleet/trainer/coder"
	"actfleet/trainer/optim"
	"actfleet/trainer/ranks"
	"actfleet/trainer/stream"
)

// step gives the next batch to the trainings of a feed: gradients, step, report,
// evaluation, checkpoint. It returns false when none needs another.
func (f *feed) step(ctx context.Context) bool {
	if len(f.learning()) == 0 || f.regroup(ctx) {
		return false
	}
	batch, waited, err := f.next(ctx)
	if err != nil {
		for _, t := range f.learning() {
			t.failed = t.stopped(ctx, err)
		}
		return false
	}
	f.steps++
	for _, t := range f.learning() {
		if t.Step < f.steps { // not one whose checkpoint is further on
			t.failed = t.learn(batch, waited, f.data.Cursor())
		}
	}
	f.finishStep(ctx)
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

// learn takes one optimizer step with a batch, for which it waited, and reports it.
func (t *training) learn(b *stream.Batch, waited float64, after stream.Cursor) error {
	began := t.Now()
	values, err := t.optimize(b)
	if err != nil {
		return fmt.Errorf("step %d: %w%s%s", t.Step+1, err, explainNonFinite(err, b), keepBatch(t.Dir, t.Step+1, err, b))
	}
	t.Step, t.Cursor, t.stepped = t.Step+1, after, true
	t.tally(b)
	t.count(b)
	t.Seconds, t.DataWaitSeconds = t.Seconds+waited+t.Now().Sub(began).Seconds(), t.DataWaitSeconds+waited
	if t.Step%t.Recipe.Loop.LogSteps == 0 || t.last() || t.Step == 1 {
		t.mixing = stream.Measure(b.Keys, t.feed.data.Mixed())
		values["mixing"] = t.mixing.Evenness
		return t.later(t.report("train", values, nil))
	}
	return nil
}

// count takes in how many rows a batch has, and how many were left out on the way to it.
func (t *training) count(b *stream.Batch) {
	t.Rows += int64(len(b.Keys))
	t.Dropped, t.OverNorm, t.Sinks = t.Dropped+int64(b.Dropped), t.OverNorm+int64(b.OverNorm), t.Sinks+int64(b.Sinks)
	t.Seen += int64(b.Dropped + b.OverNorm)
	if t.Recipe.Data.Sinks == stream.DropSinks {
		t.Seen += int64(b.Sinks)
	}
	if b.Epoch == 0 {
		t.Seen += int64(len(b.Keys))
	}
}

// optimize computes a batch in micro-batches and takes one optimizer step; the learner all-reduces what the batch adds up
// to before it.
func (t *training) optimize(b *stream.Batch) (map[string]float64, error) {
	if err := ranks.Agree(t.ranks, errors.Join(t.pending, t.microBatches(b))); err != nil {
		return nil, err
	}
	lr := t.lr()
	values, err := t.learner.Step(lr)
	if err == nil && t.Recipe.Kind == coder.SAE {
		values["lr"] = lr
	}
	return values, err
}

// microBatches gives the rows of a batch to the learner, micro at once.
func (t *training) microBatches(b *stream.Batch) error {
	micro := t.Recipe.Loop.Micro
	for lo := 0; lo < b.N; lo += micro {
		hi := min(lo+micro, b.N)
		if err := t.learner.Micro(b.X[lo*b.D:hi*b.D], hi-lo); err != nil {
			return err
		}
	}
	return nil
}

// lr is the learning rate of the next step.
func (t *training) lr() float64 {
	c := t.Recipe
	return c.Loop.LR * optim.Schedule(t.Step, c.Loop.Steps, int(c.Loop.Warmup*float64(c.Loop.Steps)), int(c.Loop.Cooldown*float64(c.Loop.Steps)), c.Loop.Cosine)
}

// finishStep saves, evaluates and checkpoints what it is time for. An interruption waits
// for it, so that a resumed training has the same lines in metrics.jsonl.
func (f *feed) finishStep(ctx context.Context) {
	var due []*training
	all := f.learning()
	f.fitThresholds(context.WithoutCancel(ctx))
	for _, t := range all {
		if t.last() && t.writes() {
			t.failed = t.save(ctx)
		}
		if t.failed == nil && t.writes() && (t.last() || t.stepped && t.evaluates()) {
			if t.failed = t.fetch(); t.failed == nil {
				due = append(due, t)
			}
		}
	}
	f.evaluate(context.WithoutCancel(ctx), due)
	for _, t := range f.learning() {
		if t.last() {
			t.ended = true
		} else if t.stepped && (t.checkpoints() || t.leftSpan()) {
			t.failed = t.checkpoint(ctx)
		}
		t.stepped = false
	}
	for _, t := range all {
		t.agree()
	}
}

// last tells whether the last step has been taken.
func (t *training) last() bool { return t.Step >= t.Recipe.Loop.Steps }

func (t *training) evaluates() bool { return t.Step > 0 && t.Step%t.Recipe.Loop.EvalSteps == 0 }

// checkpoints tells whether it is time for a checkpoint, by steps or by minutes.
func (t *training) checkpoints() bool {
	c := t.Recipe
	return t.Step%c.Loop.CheckpointSteps == 0 ||
		c.Loop.CheckpointMinutes > 0 && t.Now().Sub(t.saved).Minutes() >= c.Loop.CheckpointMinutes
}

// regroup ends trainings whose ranks regroup, at a checkpoint that all have waited for. It tells whether they do.
func (f *feed) regroup(ctx context.Context) bool {
	all := f.learning()
	if !all[0].ranks.Regrouping() {
		return false
	}
	for _, t := range all {
		switch err := ranks.Agree(t.ranks, t.checkpoint(ctx)); {
		case err != nil:
			t.failed = err
		case ctx.Err() != nil:
			t.failed = fmt.Errorf("step %d of %d: %w", t.Step, t.Recipe.Loop.Steps, ErrInterrupted)
		default:
			t.failed = ErrRegroup
		}
	}
	return true
}

// report adds a line to metrics.jsonl and an event for TensorBoard, and tells Progress.
func (t *training) report(split string, values map[string]float64, density *coder.Histogram) error {
	e := coder.Event{Step: t.Step, Total: t.Recipe.Loop.Steps, Rows: t.Rows, Seconds: t.Seconds, DataWaitFraction: t.fraction(t.DataWaitSeconds), AllReduceFraction: t.fraction(t.AllReduceSeconds), Split: split, Values: values, Density: density}
	if err := t.write(e); err != nil {
		return err
	}
	if t.Progress != nil {
		t.Progress(e)
	}
	return nil
}

// fraction is seconds as a part of the time so far.
func (t *training) fraction(seconds float64) float64 {
	if t.Seconds <= 0 {
		return 0
	}
	return seconds / t.Seconds
}

// write keeps what is reported, on rank 0.
func (t *training) write(e coder.Event) error {
	if !t.writes() {
		return nil
	}
	if err := coder.AppendEvent(t.Dir, e); err != nil {
		return err
	}
	if err := t.board.Append(boardEvent(e, t.Now())); err != nil {
		return fmt.Errorf("step %d: %w", t.Step, err)
	}
	return nil
}

// later keeps an error that the other ranks do not know of until they agree.
func (t *training) later(err error) error {
	if !ranks.Distributed(t.ranks) {
		return err
	}
	t.pending = err
	return nil
}

// leftSpan tells whether a training has read the last row of a span of a ring since its last checkpoint.
func (t *training) leftSpan() bool { return t.Reader != "" && t.Cursor.Span > t.safe.Span }

// tally counts the rows of a ring that a batch has brought.
func (t *training) tally(b *stream.Batch) {
	if t.Reader == "" {
		return
	}
	if t.Read == nil {
		t.Read = map[int]run.Tally{}
	}
	for _, k := range b.Keys {
		sum := t.Read[int(k.Unit)]
		sum.Add(k.Prompt, k.Pos)
		t.Read[int(k.Unit)] = sum
	}
	for u, left := range b.LeftOut {
		sum := t.Read[u]
		sum.Merge(left)
		t.Read[u] = sum
	}
}

// stopped writes a checkpoint when the reason is that ctx has ended. Between two
// steps the learner's window is empty, so nothing is lost.
func (t *training) stopped(ctx context.Context, err error) error {
	if errors.Is(err, io.EOF) {
		return t.ranOut(ctx)
	}
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	if err := t.checkpoint(ctx); err != nil {
		return fmt.Errorf("interrupted at step %d: %w", t.Step, err)
	}
	return fmt.Errorf("step %d of %d: %w", t.Step, t.Recipe.Loop.Steps, ErrInterrupted)
}
