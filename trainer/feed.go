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
	sinks, nonFinite                  string
	follows                           bool
}

func readingOf(j Job) reading {
	c := j.Recipe
	return reading{column: j.Column, beside: strings.Join(c.Beside(), "\x00"), tokens: c.Data.Tokens, where: strings.Join(c.Data.Where, "\x00"), by: c.Data.HoldoutBy, holdout: c.Data.Holdout,
		window: c.Data.ShuffleWindow, batch: c.Loop.Batch, span: c.Data.Span, seed: c.Data.Seed, maxNorm: c.Data.MaxNorm, sinks: c.Data.Sinks, nonFinite: c.Data.NonFinite, follows: j.Wait != nil}
}

// feed is one reading of the shards and the trainings that learn from it.
type feed struct {
	data  *stream.Stream // training rows
	held  *stream.Stream // held-out rows; nil without a holdout
	again *stream.Stream // training rows that are looked at again (firstRows); nil while there was no need
	rows  int64          // training rows of an epoch
	by    string         // column the holdout goes by, when "auto" is resolved
	all   []*training
	steps int // batches before the next one
	start []float32
}

// open opens the data as a job says.
func (f *feed) open(ctx context.Context, j Job) error {
	if err := f.chooseHoldout(ctx, j); err != nil {
		return err
	}
	j.Recipe.Data.HoldoutBy = f.by
	var err error
	c := j.Recipe.Stream(j.Column, stream.Train)
	if j.Reader != "" {
		c.Epochs = 1
	}
	if f.data, err = f.read(ctx, j.Runs, j, c); err != nil {
		return err
	}
	if err := f.openHeldout(ctx, j); err != nil {
		return err
	}
	f.tellSinks(j)
	if f.rows, err = f.data.Count(ctx); err == nil && j.Reader != "" && int64(j.Recipe.Loop.InitRows) > f.rows {
		err = fmt.Errorf("init_rows %d is more than the %d training rows of a ring's first span of %d units: lower init_rows or raise span", j.Recipe.Loop.InitRows, f.rows, j.Recipe.Data.Span)
	}
	if err != nil || j.Wait != nil {
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

// read opens runs.
func (f *feed) read(ctx context.Context, runs []stream.Source, j Job, c stream.Config) (*stream.Stream, error) {
	c.Wait = j.Wait
	return stream.Open(ctx, runs, c)
}

// tellSinks says once which rows are of extreme norm, if any are.
func (f *feed) tellSinks(j Job) {
	for _, n := range f.data.Norms() {
		if n.Sinks == 0 || j.Notice == nil || ranksOf(j).Rank() != 0 {
			continue
		}
		what := map[string]string{stream.DropSinks: "left out", stream.ClipSinks: "clipped to the median", stream.KeepSinks: "kept"}[j.Recipe.Data.Sinks]
		j.Notice(fmt.Sprintf("%s; they are %s (sinks=%s)", n, what, j.Recipe.Data.Sinks))
	}
}

// openHeldout opens the held-out rows: while a collection is followed those of the first span.
func (f *feed) openHeldout(ctx context.Context, j Job) (err error) {
	if j.Recipe.Data.Holdout == 0 {
		return nil
	}
	runs := j.Runs
	if j.Wait != nil {
		runs = stream.First(j.Runs, j.Recipe.Data.Span)
	}
	c := j.Recipe.Stream(j.Column, stream.Heldout)
	c.Norms = f.data.Norms()
	f.held, err = f.read(ctx, runs, j, c)
	return err
}

// chooseHoldout decides by which column rows are held out. By "auto" whole groups are held out where every run has the
// column and the first span has some, else whole prompts.
func (f *feed) chooseHoldout(ctx context.Context, j Job) error {
	choices := []string{j.Recipe.Data.HoldoutBy}
	if choices[0] == "auto" {
		choices = []string{"row"}
		if allHave(j.Runs, "group") {
			choices = []string{"group", "row"}
		}
	}
	for _, f.by = range choices {
		if j.Recipe.Data.Holdout == 0 {
			return nil
		}
		j.Recipe.Data.HoldoutBy = f.by
		if n, err := f.countHeldout(ctx, j); err != nil || n > 0 {
			return err
		}
	}
	return fmt.Errorf("holdout %v by %s holds no row out of %s: raise holdout, or choose another holdout_by", j.Recipe.Data.Holdout, f.by, j.Column)
}

// countHeldout is how many rows of the first span are held out.
func (f *feed) countHeldout(ctx context.Context, j Job) (int64, error) {
	c := j.Recipe.Stream(j.Column, stream.Heldout)
	c.Sinks, c.MaxNorm = "", 0
	s, err := f.read(ctx, stream.First(j.Runs, j.Recipe.Data.Span), j, c)
	if err != nil {
		return 0, err
	}
	n, err := s.Count(ctx)
	return n, errors.Join(err, s.Close())
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
	t.card.Norms = f.data.Norms()
	var err error
	t.learner, err = newLearner(widths, t.Recipe)
	if err == nil {
		err = t.use()
	}
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

// sample is the first n training rows that are no sinks, or fewer where an epoch has no more. It leaves the stream at its
// beginning.
func (f *feed) sample(ctx context.Context, n int) (x []float32, rows int, err error) {
	d := f.data.Width()
	if len(f.start) < n*d && int64(len(f.start)) < f.rows*int64(d) {
		if first := f.all[0]; first.Reader != "" { // of a ring's first span alone: more may never come
			f.start, err = f.firstRows(ctx, first.Job, n)
		} else {
			f.start, err = headOf(ctx, f.data, n)
		}
		if err != nil {
			return nil, 0, err
		}
	}
	rows = min(n, len(f.start)/d)
	return f.start[:rows*d], rows, nil
}

// firstRows is the same rows while the training is somewhere else, from a reading of their own.
func (f *feed) firstRows(ctx context.Context, j Job, n int) (x []float32, err error) {
	if f.again == nil {
		c := j.Recipe.Stream(j.Column, stream.Train)
		c.Norms, c.Prefetch = f.data.Norms(), 0
		if f.again, err = f.read(ctx, stream.First(j.Runs, j.Recipe.Data.Span), j, c); err != nil {
			return nil, err
		}
	}
	return headOf(ctx, f.again, n)
}

// headOf is the first n rows of a stream that are no sinks, or fewer where an epoch has no more. It leaves the stream at
// its beginning.
func headOf(ctx context.Context, s *stream.Stream, n int) (x []float32, err error) {
	if err := s.Seek(stream.Cursor{}); err != nil {
		return nil, err
	}
	d := s.Width()
	x = make([]float32, 0, min(n, int(s.Rows()))*d)
	for len(x) < n*d {
		b, err := s.Next(ctx)
		if err != nil {
			return nil, err
		}
		if b.Epoch > 0 {
			break
		}
		for i := 0; i < b.N && len(x) < n*d; i++ {
			if b.Sink == nil || !b.Sink[i] {
				x = append(x, b.X[i*d:(i+1)*d]...)
			}
		}
	}
	return x, s.Seek(stream.Cursor{})
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
	for _, s := range []*stream.Stream{f.data, f.held, f.again} {
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
