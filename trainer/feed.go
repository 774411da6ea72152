package trainer

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"actfleet/trainer/coder"
	"actfleet/trainer/recipe"
	"actfleet/trainer/sae"
	"actfleet/trainer/stream"
	"actfleet/trainer/vq"
)

// reading is what decides which rows come in which batches: trainings that agree in it
// share a feed.
type reading struct {
	column, beside, tokens, where, by string
	holdout                           float64
	window, batch, span               int
	seed                              uint64
	maxNorm                           float64
	nonFinite                         string
	follows                           bool
}

func readingOf(j Job) reading {
	c := j.Recipe
	return reading{column: j.Column, beside: strings.Join(c.Beside(), "\x00"), tokens: c.Data.Tokens, where: strings.Join(c.Data.Where, "\x00"), by: c.Data.HoldoutBy, holdout: c.Data.Holdout,
		window: c.Data.ShuffleWindow, batch: c.Loop.Batch, span: c.Data.Span, seed: c.Data.Seed, maxNorm: c.Data.MaxNorm, nonFinite: c.Data.NonFinite, follows: j.Wait != nil}
}

// feed is one reading of the shards and the trainings that learn from it.
type feed struct {
	data  *stream.Stream // training rows
	held  *stream.Stream // held-out rows; nil without a holdout
	rows  int64          // training rows of an epoch
	by    string         // column the holdout goes by, when "auto" is resolved
	all   []*training
	steps int // batches before the next one
	start []float32
}

// open opens the data as a job says.
func (f *feed) open(ctx context.Context, j Job) error {
	if err := f.openHeldout(ctx, j); err != nil {
		return err
	}
	j.Recipe.Data.HoldoutBy = f.by
	data, err := f.read(ctx, j.Runs, j, stream.Train)
	if err != nil {
		return err
	}
	f.data = data
	if f.rows, err = data.Count(ctx); err != nil || j.Wait != nil {
		return err
	}
	if f.rows == 0 {
		return fmt.Errorf("train %s on %s: %w", j.Recipe.Kind, j.Column, stream.ErrEmpty)
	}
	if int64(j.Recipe.Loop.Batch) > f.rows {
		return fmt.Errorf("batch %d is more than the %d rows of %s there are to train on: lower batch", j.Recipe.Loop.Batch, f.rows, j.Column)
	}
	return nil
}

// read opens a side of the holdout.
func (f *feed) read(ctx context.Context, runs []stream.Source, j Job, side stream.Side) (*stream.Stream, error) {
	c := j.Recipe.Stream(j.Column, side)
	c.Wait = j.Wait
	return stream.Open(ctx, runs, c)
}

// openHeldout opens the held-out rows. By "auto" whole groups are held out where
// every run has the column and the first span has some, else whole prompts. While a
// collection is followed they are those of the first span.
func (f *feed) openHeldout(ctx context.Context, j Job) error {
	choices := []string{j.Recipe.Data.HoldoutBy}
	if choices[0] == "auto" {
		choices = []string{"row"}
		if allHave(j.Runs, "group") {
			choices = []string{"group", "row"}
		}
	}
	first := stream.First(j.Runs, j.Recipe.Data.Span)
	for _, f.by = range choices {
		if j.Recipe.Data.Holdout == 0 {
			return nil
		}
		j.Recipe.Data.HoldoutBy = f.by
		held, err := f.read(ctx, first, j, stream.Heldout)
		if err != nil {
			return err
		}
		n, err := held.Count(ctx)
		if err == nil && n > 0 && j.Wait != nil {
			f.held = held
			return nil
		}
		if err = errors.Join(err, held.Close()); err == nil && n > 0 {
			f.held, err = f.read(ctx, j.Runs, j, stream.Heldout)
			return err
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("holdout %v by %s holds no row out of %s: raise holdout, or choose another holdout_by", j.Recipe.Data.Holdout, f.by, j.Column)
}

// allHave tells whether every run has a scalar column.
func allHave(runs []stream.Source, name string) bool {
	for _, r := range runs {
		if _, ok := r.Plan.Schema().ScalarIndex(name); !ok {
			return false
		}
	}
	return true
}

// add makes the training of a job that reads as the feed does.
func (f *feed) add(j Job) (*training, error) {
	t := &training{Job: j, feed: f}
	t.Recipe.Data.HoldoutBy = f.by
	widths := f.data.Widths()
	t.Recipe.Resolve(widths[0], f.rows)
	t.card = t.Recipe.Card(t.Column, t.Runs, widths, t.Program)
	var err error
	t.learner, err = newLearner(widths, t.Recipe)
	if err != nil {
		return t, err
	}
	t.distribute()
	f.all = append(f.all, t)
	return t, nil
}

// begin brings every training to its beginning or to its checkpoint, and the data to
// the one that is furthest behind.
func (f *feed) begin(ctx context.Context) {
	for _, t := range f.all {
		t.failed = t.begin(ctx)
	}
	f.start = nil
	f.fail(f.data.Share(f.all[0].ranks.Rank(), f.all[0].ranks.World()))
	var last *training
	for _, t := range f.learning() {
		if t.Step < t.Recipe.Loop.Steps && (last == nil || t.Step < last.Step) {
			last = t
		}
	}
	if last != nil {
		f.steps = last.Step
		f.fail(f.data.Seek(last.Cursor))
	}
	f.finishStep(ctx) // those that had ended before
}

// sample is the first n training rows, or fewer where an epoch has no more. It leaves
// the stream at its beginning.
func (f *feed) sample(ctx context.Context, n int) (x []float32, rows int, err error) {
	d := f.data.Width()
	if len(f.start) < n*d && int64(len(f.start)) < f.rows*int64(d) {
		if f.start, err = f.head(ctx, n); err != nil {
			return nil, 0, err
		}
	}
	rows = min(n, len(f.start)/d)
	return f.start[:rows*d], rows, nil
}

func (f *feed) head(ctx context.Context, n int) (x []float32, err error) {
	if err := f.data.Seek(stream.Cursor{}); err != nil {
		return nil, err
	}
	x = make([]float32, 0, int(min(int64(n), f.rows))*f.data.Width())
	for rows := 0; rows < n; {
		b, err := f.data.Next(ctx)
		if err != nil {
			return nil, err
		}
		if b.Epoch > 0 {
			break
		}
		take := min(b.N, n-rows)
		x, rows = append(x, b.X[:take*b.D]...), rows+take
	}
	return x, f.data.Seek(stream.Cursor{})
}

// learning are the trainings that have neither ended nor failed.
func (f *feed) learning() (out []*training) {
	for _, t := range f.all {
		if t.failed == nil && !t.ended {
			out = append(out, t)
		}
	}
	return out
}

// fail ends every training that is under way with an error of the data.
func (f *feed) fail(err error) {
	for _, t := range f.learning() {
		t.failed = err
	}
}

func (f *feed) close() error {
	var errs []error
	for _, s := range []*stream.Stream{f.data, f.held} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// newLearner makes the learner of a kind for rows of vectors of these lengths.
func newLearner(widths []int, c recipe.Recipe) (Learner, error) {
	d := 0
	for _, w := range widths {
		d += w
	}
	switch c.Kind {
	case coder.SAE:
		cfg, err := c.SAE.Learner(c.Loop, c.Seed, widths)
		if err != nil {
			return nil, err
		}
		return sae.New(d, cfg)
	case coder.VQ:
		return vq.New(d, c.VQ.Learner(c.Loop, c.Seed))
	}
	return nil, fmt.Errorf("coders of kind %q are not trained step by step", c.Kind)
}
