package trainer

import (
	"fmt"
	"time"

	"actfleet/trainer/coder"
	"actfleet/trainer/optim"
	"actfleet/trainer/ranks"
	"actfleet/trainer/stream"
	"actfleet/trainer/tfevents"
)

// training is a Job under way.
type training struct {
	Job
	coder   coder.Card
	learner Learner
	feed    *feed
	progress
	goesOn  bool  // from what is there
	ckpts   ckpts // where it writes them
	board   *tfevents.Writer
	kept    int       // step of the last checkpoint in ckpts; -1 without any
	saved   time.Time // when the last checkpoint was written
	ranks   ranks.Ranks
	pending error // what failed here since the last step, while the other ranks do not know
	stepped bool  // by the batch that is being concluded
	mixing  stream.Mixing
	eval    map[string]float64
	failed  error // why it does not go on
	ended   bool
}

// learn takes one optimizer step with a batch, for which it waited, and reports it.
func (t *training) learn(b *stream.Batch, waited float64, after stream.Cursor) error {
	began := t.Now()
	values, err := t.optimize(b)
	if err != nil {
		return fmt.Errorf("step %d: %w%s%s", t.Step+1, err, blame(err, b), t.keepBatch(err, b))
	}
	t.Step, t.Cursor, t.stepped = t.Step+1, after, true
	t.Rows, t.Dropped, t.Loud = t.Rows+int64(len(b.Rows)), t.Dropped+int64(b.Dropped), t.Loud+int64(b.Loud)
	t.Seconds, t.DataWaitSeconds = t.Seconds+waited+t.Now().Sub(began).Seconds(), t.DataWaitSeconds+waited
	if t.Step%t.Recipe.Loop.LogSteps == 0 || t.last() || t.Step == 1 {
		t.mixing = stream.Measure(b.Rows, t.feed.data.Mixed())
		values["mixing"] = t.mixing.Evenness
		return t.later(t.report("train", values, nil))
	}
	return nil
}

// optimize gives a batch to the learner in micro-batches and takes one optimizer step.
func (t *training) optimize(b *stream.Batch) (map[string]float64, error) {
	if err := ranks.Agree(t.ranks, t.micros(b)); err != nil {
		return nil, err
	}
	lr := t.rate()
	values, err := t.learner.Step(lr)
	if err == nil && t.Recipe.Kind == coder.SAE {
		values["lr"] = lr
	}
	return values, err
}

// rate is the learning rate of the next step.
func (t *training) rate() float64 {
	c := t.Recipe
	return c.Loop.LR * optim.Schedule(t.Step, c.Loop.Steps, int(c.Loop.Warmup*float64(c.Loop.Steps)), int(c.Loop.Cooldown*float64(c.Loop.Steps)), c.Loop.Cosine)
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

// report adds a line to metrics.jsonl and an event for TensorBoard, and tells Progress.
func (t *training) report(split string, values map[string]float64, density *coder.Histogram) error {
	e := coder.Event{Step: t.Step, Total: t.Recipe.Loop.Steps, Rows: t.Rows, Seconds: t.Seconds, DataWaitFraction: t.share(t.DataWaitSeconds), AllReduceFraction: t.share(t.AllReduceSeconds), Split: split, Values: values, Density: density}
	if err := t.write(e); err != nil {
		return err
	}
	if t.Progress != nil {
		t.Progress(e)
	}
	return nil
}

// share is seconds as a part of the time so far.
func (t *training) share(seconds float64) float64 {
	if t.Seconds <= 0 {
		return 0
	}
	return seconds / t.Seconds
}

func (t *training) result() Result {
	return Result{Dir: t.Dir, Coder: t.coder, Steps: t.Step, Rows: t.Rows, Seconds: t.Seconds, DataWaitFraction: t.share(t.DataWaitSeconds), AllReduceFraction: t.share(t.AllReduceSeconds),
		Dropped: t.Dropped, Loud: t.Loud, Mixing: t.mixing, Eval: t.eval}
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
