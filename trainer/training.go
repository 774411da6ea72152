package trainer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"actfleet/trainer/optim"
	"actfleet/trainer/stream"
)

// training is a Job under way.
type training struct {
	Job
	coder   Coder
	learner Learner
	feed    *feed
	progress
	there   *Coder    // what the folder held before
	saved   time.Time // when the last checkpoint was written
	stepped bool      // by the batch that is being concluded
	mixing  stream.Mixing
	eval    map[string]float64
	failed  error // why it does not go on
	ended   bool
}

// look reads what the folder holds and refuses another training.
func (t *training) look() error {
	there, err := ReadCoder(t.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !t.Resume:
		return fmt.Errorf("%s: %w; add --resume to go on, or choose another --out", t.Dir, ErrExists)
	}
	t.coder.Forks = there.Forks
	if diff := t.coder.Difference(there); len(diff) > 0 && !t.Fork {
		return fmt.Errorf("%s: %w: %s (--fork goes on with what is here)", t.Dir, ErrOther, strings.Join(diff, "; "))
	}
	t.there = &there
	return nil
}

// begin starts anew or from the last checkpoint.
func (t *training) begin(ctx context.Context) error {
	t.saved = t.Now()
	if t.there == nil {
		return t.start(ctx)
	}
	p, ok, err := loadCheckpoint(t.Dir, t.learner.State())
	if err != nil {
		return err
	}
	if !ok {
		return t.start(ctx)
	}
	t.progress = p
	return errors.Join(t.learner.Restored(), t.fork(), truncateEvents(t.Dir, p.Step, t.Config.Steps))
}

// fork notes in cfg.json what goes on differently from the checkpoint on. A change in
// what is read begins at the first row.
func (t *training) fork() error {
	diff := t.coder.Difference(*t.there)
	if len(diff) == 0 {
		return nil
	}
	cfg, err := t.there.config()
	if err != nil || readingOf(Job{Column: t.there.Column, Config: cfg}) != readingOf(t.Job) || !sameData(*t.there, t.coder) {
		t.Cursor = stream.Cursor{}
	}
	t.coder.Forks = append(t.coder.Forks, Fork{Step: t.Step, Changed: diff})
	return WriteCoder(t.Dir, t.coder)
}

// start writes cfg.json and lets the learner look at a sample.
func (t *training) start(ctx context.Context) error {
	if err := os.MkdirAll(t.Dir, 0o755); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	x, n, err := t.feed.sample(ctx, t.Config.InitRows)
	if err != nil {
		return err
	}
	if err := t.learner.Init(x, n); err != nil {
		return err
	}
	return errors.Join(WriteCoder(t.Dir, t.coder), truncateEvents(t.Dir, -1, 0))
}

// learn takes one optimizer step with a batch, for which it waited, and reports it.
func (t *training) learn(b *stream.Batch, waited float64, after stream.Cursor) error {
	began := t.Now()
	values, err := t.optimize(b)
	if err != nil {
		return fmt.Errorf("step %d: %w%s%s", t.Step+1, err, blame(err, b), t.keepBatch(err, b))
	}
	t.Step, t.Cursor, t.stepped = t.Step+1, after, true
	t.Rows, t.Dropped, t.Loud = t.Rows+int64(b.N), t.Dropped+int64(b.Dropped), t.Loud+int64(b.Loud)
	t.Seconds, t.Starved = t.Seconds+waited+t.Now().Sub(began).Seconds(), t.Starved+waited
	if t.Step%t.Config.LogSteps == 0 || t.last() || t.Step == 1 {
		t.mixing = stream.Measure(b.Rows, t.feed.data.Mixed())
		values["mixing"] = t.mixing.Evenness
		return t.report("train", values)
	}
	return nil
}

// optimize gives a batch to the learner in micro-batches and takes one optimizer step.
func (t *training) optimize(b *stream.Batch) (map[string]float64, error) {
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

// rate is the learning rate of the next step.
func (t *training) rate() float64 {
	c := t.Config
	return c.LR * optim.Schedule(t.Step, c.Steps, int(c.Warmup*float64(c.Steps)), int(c.Cooldown*float64(c.Steps)), c.Cosine)
}

// last tells whether the last step has been taken.
func (t *training) last() bool { return t.Step >= t.Config.Steps }

func (t *training) evaluates() bool { return t.Step > 0 && t.Step%t.Config.EvalSteps == 0 }

// checkpoints tells whether it is time for a checkpoint, by steps or by minutes.
func (t *training) checkpoints() bool {
	c := t.Config
	return t.Step%c.CheckpointSteps == 0 ||
		c.CheckpointMinutes > 0 && t.Now().Sub(t.saved).Minutes() >= c.CheckpointMinutes
}

// checkpoint writes everything that training goes on from.
func (t *training) checkpoint() error {
	t.saved = t.Now()
	return saveCheckpoint(t.Dir, t.progress, t.learner.State(), t.Config.CheckpointKeep)
}

// save writes the coder.
func (t *training) save() error {
	if err := t.checkpoint(); err != nil {
		return err
	}
	return export(t.learner, filepath.Join(t.Dir, WeightsFile))
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

// report adds a line to metrics.jsonl and tells Progress.
func (t *training) report(split string, values map[string]float64) error {
	e := Event{Step: t.Step, Total: t.Config.Steps, Rows: t.Rows, Seconds: t.Seconds, Starved: t.starved(), Split: split, Values: values}
	if err := appendEvent(t.Dir, e); err != nil {
		return err
	}
	if t.Progress != nil {
		t.Progress(e)
	}
	return nil
}

// starved is the share of the time spent waiting for data.
func (t *training) starved() float64 {
	if t.Seconds <= 0 {
		return 0
	}
	return t.progress.Starved / t.Seconds
}

func (t *training) result() Result {
	return Result{Dir: t.Dir, Coder: t.coder, Steps: t.Step, Rows: t.Rows, Seconds: t.Seconds, Starved: t.starved(),
		Dropped: t.Dropped, Loud: t.Loud, Mixing: t.mixing, Eval: t.eval}
}
