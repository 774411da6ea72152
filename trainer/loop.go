package trainer

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"actfleet/trainer/optim"
	"actfleet/trainer/stream"
)

// loop is the training: batch, gradients, step, report, checkpoint.
func (t *training) loop(ctx context.Context) error {
	for t.Step < t.Config.Steps {
		batch, err := t.next(ctx)
		if err != nil {
			return t.stopped(ctx, err)
		}
		values, err := t.step(batch)
		if err != nil {
			return fmt.Errorf("step %d: %w%s", t.Step+1, err, t.blame(err, batch))
		}
		t.Step++
		t.Rows += int64(batch.N)
		if err := t.after(ctx, values); err != nil {
			return t.stopped(ctx, err)
		}
	}
	return nil
}

// next waits for a batch and counts the waiting.
func (t *training) next(ctx context.Context) (*stream.Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	start := t.Now()
	b, err := t.data.Next(ctx)
	t.Starved += t.Now().Sub(start).Seconds()
	return b, err
}

// step gives a batch to the learner in micro-batches and takes one optimizer step.
func (t *training) step(b *stream.Batch) (map[string]float64, error) {
	for lo := 0; lo < b.N; lo += t.Config.Micro {
		hi := min(lo+t.Config.Micro, b.N)
		if err := t.learner.Micro(b.X[lo*b.D:hi*b.D], hi-lo); err != nil {
			return nil, err
		}
	}
	lr := t.rate()
	values, err := t.learner.Step(lr)
	if err == nil && t.Kind == SAE {
		values["lr"] = lr
	}
	return values, err
}

// after reports, evaluates and checkpoints when it is time. An interruption waits for
// it, so that a resumed training has the same lines in metrics.jsonl.
func (t *training) after(ctx context.Context, values map[string]float64) error {
	c, last := t.Config, t.Step == t.Config.Steps
	if t.Step%c.LogSteps == 0 || last || t.Step == 1 {
		if err := t.report("train", values); err != nil {
			return err
		}
	}
	if t.Step%c.EvalSteps == 0 && !last {
		m, err := t.evaluate(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
		if err := t.report("eval", m); err != nil {
			return err
		}
	}
	if t.Step%c.CheckpointSteps == 0 && !last {
		return t.checkpoint()
	}
	return nil
}

// stopped writes a checkpoint when the reason is that ctx has ended. Between two
// steps the learner's window is empty, so nothing is lost.
func (t *training) stopped(ctx context.Context, err error) error {
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	if err := t.checkpoint(); err != nil {
		return fmt.Errorf("interrupted at step %d: %w", t.Step, err)
	}
	return fmt.Errorf("step %d of %d: %w", t.Step, t.Config.Steps, ErrInterrupted)
}

// blame names the rows of a batch that are to blame for a value that is not finite.
func (t *training) blame(err error, b *stream.Batch) string {
	if !errors.Is(err, optim.ErrNonFinite) {
		return ""
	}
	var bad []string
	for i, k := range b.Rows {
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

// evaluate measures the learner on the first eval_rows held-out rows, always the
// same ones.
func (t *training) evaluate(ctx context.Context) (map[string]float64, error) {
	if t.held == nil {
		return map[string]float64{}, nil
	}
	return measure(ctx, t.held, newMeter(t.learner), t.Config.EvalRows, t.Config.Micro)
}

// measure gives at most limit rows from the beginning of a stream to a meter, and
// leaves the stream at its beginning with nothing read ahead.
func measure(ctx context.Context, s *stream.Stream, m Meter, limit, micro int) (map[string]float64, error) {
	if err := s.Seek(stream.Cursor{}); err != nil {
		return nil, err
	}
	for rows := 0; rows < limit; {
		b, err := s.Next(ctx)
		if errors.Is(err, stream.ErrEmpty) {
			break
		}
		if err != nil {
			return nil, err
		}
		if b.Epoch > 0 {
			break
		}
		n := min(b.N, limit-rows)
		for lo := 0; lo < n; lo += micro {
			hi := min(lo+micro, n)
			if err := m.Add(b.X[lo*b.D:hi*b.D], hi-lo); err != nil {
				return nil, err
			}
		}
		rows += n
	}
	return m.Metrics(), s.Seek(stream.Cursor{})
}

// report adds a line to metrics.jsonl and tells Progress.
func (t *training) report(split string, values map[string]float64) error {
	t.tick()
	e := Event{Step: t.Step, Total: t.Config.Steps, Rows: t.Rows, Seconds: t.Seconds, Starved: t.starved(), Split: split, Values: values}
	if err := appendEvent(t.Dir, e); err != nil {
		return err
	}
	if t.Progress != nil {
		t.Progress(e)
	}
	return nil
}

// tick brings Seconds up to date.
func (t *training) tick() {
	now := t.Now()
	t.Seconds += now.Sub(t.last).Seconds()
	t.last = now
}

// starved is the share of the time spent waiting for data.
func (t *training) starved() float64 {
	if t.Seconds <= 0 {
		return 0
	}
	return t.progress.Starved / t.Seconds
}
