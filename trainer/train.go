package trainer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"actfleet/trainer/coder"
	"actfleet/trainer/folder"
	"actfleet/trainer/ranks"
	"actfleet/trainer/recipe"
	"actfleet/trainer/stream"
	"actfleet/trainer/tfevents"
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
	Dir    string          // the coder's folder; made if need be
	Runs   []stream.Source // what is read
	Column string          // vector column
	Recipe recipe.Recipe
	Resume bool // go on from the last checkpoint if there is one
	Fork   bool // go on although the config has changed, and note the change in cfg.json

	// Checkpoints is where checkpoints are kept instead of in the folder, so that a training
	// goes on where the folder is lost; nil is the folder.
	Checkpoints *Place

	// Ranks are the processes that train this together, each with the same Job; nil is this one alone.
	// Batches are the same for any number of them, and so is the result but for rounding.
	Ranks ranks.Ranks

	// Device is where the learner computes, as torch.ParseDevice reads it, or Auto; "" is the CPU. The same training ends in
	// the same bytes on the same device; on another kind of device the bytes are others.
	Device string
	// Compute is how a GPU computes the matrix products: "f32", "tf32", "bf16", or Auto for tf32; "" is Auto. The CPU
	// computes f32.
	Compute string

	// Wait, when set, follows a collection: it is called while a unit that is needed next
	// is not there yet, from several goroutines, and returns when it is time to look again.
	Wait func(ctx context.Context, unit int) error

	// Reader is the name under which a ring is read, one of its plan's; "" reads runs whose shards stay. The trainings
	// of one TrainAll are one reader.
	Reader string

	Program  string            // version of the program, for cfg.json
	Host     string            // name of this machine, for the names of event files
	Progress func(coder.Event) // called after every line of metrics.jsonl; may be nil
	Notice   func(string)      // told what was found in the data before the first step; may be nil
	Now      func() time.Time  // the clock, for rates, checkpoint_minutes and event files only
}

// Result is what a training ended with.
type Result struct {
	Dir               string
	Card              coder.Card
	Steps             int
	Rows              int64
	Seconds           float64       // of its own computing and of waiting for data
	DataWaitFraction  float64       // share of Seconds spent waiting for data
	AllReduceFraction float64       // share of Seconds spent in all-reduces over several ranks
	Dropped           int64         // rows left out because a value was not finite
	OverNorm          int64         // rows left out because of max_norm
	Sinks             int64         // rows of extreme norm, of which the recipe says what became
	Seen              int64         // different rows that were met, those left out among them
	Mixing            stream.Mixing // of the last batch that was reported
	Eval              coder.Metrics // metrics on held-out rows
	Failed            string        `json:",omitempty"` // why it did not end
}

// Train trains a coder and leaves it in Job.Dir. When ctx ends it writes a
// checkpoint and returns ErrInterrupted.
func Train(ctx context.Context, j Job) (Result, error) {
	res, err := TrainAll(ctx, []Job{j})
	if len(res) == 0 {
		return Result{}, err
	}
	return res[0], err
}

// TrainAll trains several coders at once. Those that read alike (column, filter,
// holdout, window, order and batch) share one reading. Each ends in the same bytes as
// when it is trained alone. What concerns all of them is refused before anything is
// written; afterwards a coder that fails is named in the error, and the others go on.
// The results are in the order of the jobs.
func TrainAll(ctx context.Context, jobs []Job) (res []Result, err error) {
	s, err := prepare(ctx, jobs)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.inspect(ctx); err != nil {
		return nil, err
	}
	for _, f := range s.feeds {
		f.begin(ctx)
	}
	s.beginRing(ctx)
	s.run(ctx)
	return s.results()
}

// training is a Job under way.
type training struct {
	Job
	card    coder.Card
	learner Learner
	feed    *feed
	progress
	resumes bool  // from what is there
	ckpts   ckpts // where it writes them
	board   *tfevents.Writer
	safe    stream.Cursor // of the last checkpoint
	kept    int           // step of the last checkpoint in ckpts; -1 without any
	saved   time.Time     // when the last checkpoint was written
	ranks   ranks.Ranks
	pending error // what failed here since the last step, while the other ranks do not know
	stepped bool  // by the batch at hand
	mixing  stream.Mixing
	eval    map[string]float64
	failed  error // why it does not go on
	ended   bool
}

// session is the trainings of one TrainAll.
type session struct {
	all   []*training // in the order of the jobs
	feeds []*feed
	held  []func()    // gives a folder up
	ring  *ringReader // nil unless a ring is read
}

// prepare opens the data and makes the learners, but writes nothing.
func prepare(ctx context.Context, jobs []Job) (s *session, err error) {
	s = &session{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.ring, err = readRing(ctx, jobs); err != nil {
		return s, err
	}
	byKey := map[reading]*feed{}
	dirs := map[string]bool{}
	for _, j := range jobs {
		if err := j.Recipe.Validate(); err != nil {
			return s, err
		}
		if j.Wait != nil && j.Recipe.Loop.Epochs > 0 {
			return s, errors.New("epochs needs the whole run: give steps to follow a collection")
		}
		if dirs[j.Dir] {
			return s, fmt.Errorf("two trainings would write to %s: give one of them another name", j.Dir)
		}
		dirs[j.Dir] = true
		f := byKey[readingOf(j)]
		if f == nil {
			f = &feed{}
			s.feeds, byKey[readingOf(j)] = append(s.feeds, f), f
			if err := f.open(ctx, j); err != nil {
				return s, err
			}
		}
		t, err := f.add(j)
		if err != nil {
			return s, err
		}
		s.all = append(s.all, t)
	}
	return s, nil
}

// inspect takes the folders for these trainings alone, and refuses what lies in them before anything is written.
func (s *session) inspect(ctx context.Context) error {
	var errs []error
	for _, t := range s.all {
		if t.writes() {
			errs = append(errs, s.claim(ctx, t), t.inspect(ctx))
		}
	}
	return ranks.Agree(s.all[0].ranks, errors.Join(errs...))
}

// run is the training: every reading gives a batch in turn, until no coder needs one.
func (s *session) run(ctx context.Context) {
	for open := true; open; {
		open = false
		for _, f := range s.feeds {
			open = f.step(ctx) || open
		}
		s.acknowledge(ctx)
	}
}

// results are those of every job, and what failed.
func (s *session) results() (res []Result, err error) {
	var errs []error
	for _, t := range s.all {
		r := resultOf(t)
		if t.failed = hint(t, t.failed); t.failed != nil {
			r.Failed = t.failed.Error()
		}
		res = append(res, r)
		if t.failed != nil && len(s.all) > 1 {
			errs = append(errs, fmt.Errorf("%s: %w", t.Dir, t.failed))
		} else {
			errs = append(errs, t.failed)
		}
	}
	return res, errors.Join(errs...)
}

// claimPatience is how long a rank waits for the former one that wrote, which leaves.
const claimPatience = 10 * time.Second

func (s *session) claim(ctx context.Context, t *training) error {
	patience := time.Duration(0)
	if t.Ranks != nil {
		patience = claimPatience
	}
	release, err := folder.Claim(ctx, t.Dir, patience)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	s.held = append(s.held, release)
	return nil
}

func (s *session) close() error {
	var errs []error
	for _, release := range s.held {
		release()
	}
	for _, t := range s.all {
		t.free()
	}
	for _, f := range s.feeds {
		errs = append(errs, f.close())
	}
	return errors.Join(errs...)
}

// hint adds to why a training failed what it can go on from.
func hint(t *training, err error) error {
	if err == nil || errors.Is(err, ErrInterrupted) || t.kept < 0 {
		return err
	}
	return fmt.Errorf("%w; the checkpoint of step %d is whole: --resume goes on from it", err, t.kept)
}

// resultOf is where a training has come to.
func resultOf(t *training) Result {
	return Result{Dir: t.Dir, Card: t.card, Steps: t.Step, Rows: t.Rows, Seconds: t.Seconds, DataWaitFraction: t.fraction(t.DataWaitSeconds), AllReduceFraction: t.fraction(t.AllReduceSeconds),
		Dropped: t.Dropped, OverNorm: t.OverNorm, Sinks: t.Sinks, Seen: t.Seen, Mixing: t.mixing, Eval: t.eval}
}
