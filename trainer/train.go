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

// Errors that a caller decides on.
var (
	// ErrInterrupted says that the training stopped at a checkpoint and can go on.
	ErrInterrupted = errors.New("interrupted; the training goes on from its checkpoint with --resume")
	// ErrOther says that the folder holds a training of something else.
	ErrOther = errors.New("the folder holds another training")
	// ErrExists says that the folder holds a training and Resume was not asked for.
	ErrExists = errors.New("the folder holds a training already")
)

// Job is one training.
type Job struct {
	Kind   string          // SAE or VQ
	Dir    string          // the coder's folder; made if need be
	Runs   []stream.Source // what is read
	Column string          // vector column
	Config Config
	Resume bool // go on from the last checkpoint if there is one

	Program  string           // version of the program, for cfg.json
	Progress func(Event)      // called after every line of metrics.jsonl; may be nil
	Now      func() time.Time // the clock, for rates only
}

// Result is what a training ended with.
type Result struct {
	Coder   Coder
	Steps   int
	Rows    int64
	Seconds float64
	Starved float64            // share of Seconds spent waiting for data
	Dropped int                // rows left out in this session because a value was not finite
	Eval    map[string]float64 // metrics on held-out rows
}

// Train trains a coder and leaves it in Job.Dir. When ctx ends it writes a
// checkpoint and returns ErrInterrupted.
func Train(ctx context.Context, j Job) (res Result, err error) {
	t, err := prepare(ctx, j)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.begin(ctx); err != nil {
		return Result{}, err
	}
	if err := t.loop(ctx); err != nil {
		return Result{}, err
	}
	return t.finish(ctx)
}

// training is a Job under way.
type training struct {
	Job
	coder   Coder
	learner Learner
	data    *stream.Stream // training rows
	held    *stream.Stream // held-out rows; nil without a holdout
	progress
	last time.Time // when Seconds was brought up to date
}

// prepare opens the data and makes the learner, but writes nothing.
func prepare(ctx context.Context, j Job) (t *training, err error) {
	if err := j.Config.Validate(j.Kind); err != nil {
		return nil, err
	}
	t = &training{Job: j}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	if err := t.openHeldout(ctx); err != nil {
		return t, err
	}
	if t.data, err = stream.Open(ctx, j.Runs, t.streamConfig(stream.Train)); err != nil {
		return t, err
	}
	rows, err := t.data.Count(ctx)
	if err != nil {
		return t, err
	}
	if rows == 0 {
		return t, fmt.Errorf("train %s on %s: %w", j.Kind, j.Column, stream.ErrEmpty)
	}
	d := t.data.Width()
	t.Config.resolve(j.Kind, d, rows)
	t.coder = newCoder(t.Job, t.Config, d)
	t.learner, err = newLearner(j.Kind, d, t.Config)
	return t, err
}

// openHeldout opens the held-out rows. By "auto" whole groups are held out where
// every run has the column and there are enough of them, else whole prompts.
func (t *training) openHeldout(ctx context.Context) error {
	choices := []string{t.Config.HoldoutBy}
	if choices[0] == "auto" {
		choices = []string{"row"}
		if t.allHave("group") {
			choices = []string{"group", "row"}
		}
	}
	for _, by := range choices {
		t.Config.HoldoutBy = by
		if t.Config.Holdout == 0 {
			return nil
		}
		s, err := stream.Open(ctx, t.Runs, t.streamConfig(stream.Heldout))
		if err != nil {
			return err
		}
		n, err := s.Count(ctx)
		if err == nil && n > 0 {
			t.held = s
			return nil
		}
		if err = errors.Join(err, s.Close()); err != nil {
			return err
		}
	}
	return fmt.Errorf("holdout %v by %s holds no row out of %s: raise holdout, or choose another holdout_by", t.Config.Holdout, t.Config.HoldoutBy, t.Column)
}

// allHave tells whether every run has a scalar column.
func (t *training) allHave(name string) bool {
	for _, r := range t.Runs {
		if _, ok := r.Plan.Schema().ScalarIndex(name); !ok {
			return false
		}
	}
	return true
}

// prefetch is the number of batches read ahead.
const prefetch = 2

func (t *training) streamConfig(side stream.Side) stream.Config {
	c := t.Config
	return stream.Config{Column: t.Column, Batch: c.Batch, Window: c.Window, Seed: c.Seed, Prefetch: prefetch,
		Filter: stream.Filter{Tokens: c.Tokens, Where: c.Where, Side: side,
			Holdout: stream.Holdout{Fraction: c.Holdout, By: c.HoldoutBy}}}
}

func (t *training) close() error {
	var errs []error
	for _, s := range []*stream.Stream{t.data, t.held} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// begin starts anew or from the last checkpoint.
func (t *training) begin(ctx context.Context) error {
	t.last = t.Now()
	there, err := ReadCoder(t.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return t.start(ctx)
	case err != nil:
		return err
	case !t.Resume:
		return fmt.Errorf("%s: %w; add --resume to go on, or choose another --out", t.Dir, ErrExists)
	}
	if diff := t.coder.Difference(there); len(diff) > 0 {
		return fmt.Errorf("%s: %w: %s", t.Dir, ErrOther, strings.Join(diff, "; "))
	}
	p, ok, err := loadCheckpoint(t.Dir, t.learner.State())
	if err != nil {
		return err
	}
	if !ok {
		return t.start(ctx)
	}
	t.progress = p
	return errors.Join(t.learner.Restored(), t.data.Seek(p.Cursor), truncateEvents(t.Dir, p.Step, t.Config.Steps))
}

// start writes cfg.json and lets the learner look at a sample.
func (t *training) start(ctx context.Context) error {
	if err := os.MkdirAll(t.Dir, 0o755); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	x, n, err := t.sample(ctx)
	if err != nil {
		return err
	}
	if err := t.learner.Init(x, n); err != nil {
		return err
	}
	return errors.Join(WriteCoder(t.Dir, t.coder), truncateEvents(t.Dir, -1, 0))
}

// sample reads init_rows training rows and goes back to the beginning.
func (t *training) sample(ctx context.Context) (x []float32, n int, err error) {
	for n < t.Config.InitRows {
		b, err := t.data.Next(ctx)
		if err != nil {
			return nil, 0, err
		}
		if b.Epoch > 0 {
			break
		}
		take := min(b.N, t.Config.InitRows-n)
		x, n = append(x, b.X[:take*b.D]...), n+take
	}
	return x, n, t.data.Seek(stream.Cursor{})
}

// checkpoint writes everything that training goes on from.
func (t *training) checkpoint() error {
	t.tick()
	t.Cursor = t.data.Cursor()
	return saveCheckpoint(t.Dir, t.progress, t.learner.State())
}

// finish writes the coder.
func (t *training) finish(ctx context.Context) (Result, error) {
	if err := t.checkpoint(); err != nil {
		return Result{}, err
	}
	if err := export(t.learner, filepath.Join(t.Dir, WeightsFile)); err != nil {
		return Result{}, err
	}
	eval, err := t.evaluate(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := t.report("eval", eval); err != nil {
		return Result{}, err
	}
	return Result{Coder: t.coder, Steps: t.Step, Rows: t.Rows, Seconds: t.Seconds, Starved: t.starved(), Dropped: t.data.Dropped(), Eval: eval}, nil
}

// rate is the learning rate of the next step.
func (t *training) rate() float64 {
	c := t.Config
	return c.LR * optim.Schedule(t.Step, c.Steps, int(c.Warmup*float64(c.Steps)), int(c.Cooldown*float64(c.Steps)))
}
