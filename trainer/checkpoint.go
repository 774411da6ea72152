package trainer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"actfleet/internal/smallfile"
	"actfleet/shard/store"
	"actfleet/shard/store/local"
	"actfleet/trainer/coder"
	"actfleet/trainer/recipe"
	"actfleet/trainer/sae"
	"actfleet/trainer/stream"
	"actfleet/trainer/vq"
)

// inspect reads what the folder, and where checkpoints are kept outside of it the newest of
// them, tell of a training there, and refuses another one.
func (t *training) inspect(ctx context.Context) error {
	there, err := coder.ReadCard(t.Dir)
	if err == nil {
		err = t.accept(there, t.Dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) || t.Checkpoints == nil {
		return present(err)
	}
	p, ok, err := ckpts{Place: *t.Checkpoints}.latest(ctx)
	if err != nil || !ok {
		return err
	}
	return t.accept(p.Card, t.Checkpoints.String())
}

// present drops the error of what is not there.
func present(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// accept refuses what lies at a place unless this training may go on from it.
func (t *training) accept(there coder.Card, place string) error {
	if !t.Resume {
		return fmt.Errorf("%s: %w; add --resume to go on, or choose another place", place, ErrExists)
	}
	if diff := t.card.Difference(recipe.Renamed(there)); len(diff) > 0 && !t.Fork {
		return fmt.Errorf("%s: %w: %s (--fork goes on with what is here)", place, ErrOther, strings.Join(diff, "; "))
	}
	if t.Reader != "" && t.readsOtherwise(recipe.Renamed(there)) {
		return fmt.Errorf("%s: %w: a ring is read once, and a fork can change nothing of what is read", place, ErrOther)
	}
	t.resumes = true
	return nil
}

// begin starts anew or from the last checkpoint, as rank 0 does.
func (t *training) begin(ctx context.Context) error {
	t.saved, t.kept = t.Now(), -1
	var err error
	if t.writes() {
		err = t.startOrRestore(ctx)
	}
	return t.broadcast(err)
}

func (t *training) startOrRestore(ctx context.Context) error {
	dir, err := local.New(t.Dir)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	inside := Place{Store: dir, Dir: coder.CkptDir}
	t.ckpts = ckpts{inside, t.Recipe.Loop.CheckpointKeep}
	if t.Checkpoints != nil {
		t.ckpts.Place = *t.Checkpoints
	}
	if !t.resumes {
		return t.start(ctx)
	}
	found, err := t.restore(ctx, t.ckpts)
	if !found && err == nil && t.Checkpoints != nil {
		found, err = t.restore(ctx, ckpts{inside, 0}) // those from before they were kept elsewhere
	}
	if found || err != nil {
		return err
	}
	return t.start(ctx)
}

// restore goes on from the newest checkpoint, if there is any.
func (t *training) restore(ctx context.Context, from ckpts) (found bool, err error) {
	p, found, err := from.load(ctx, t.learner.State())
	if err != nil || !found {
		return found, err
	}
	t.progress = p
	if from == t.ckpts {
		t.kept = p.Step
	}
	t.fork(p.Card)
	t.safe = t.Cursor
	if err := errors.Join(t.learner.Restored(), coder.WriteCard(t.Dir, t.card), t.restoreMetrics(ctx, from)); err != nil {
		return true, err
	}
	return true, openBoard(t)
}

// restoreMetrics takes metrics.jsonl back to the checkpoint.
func (t *training) restoreMetrics(ctx context.Context, from ckpts) error {
	text, err := from.metrics(ctx, t.Step)
	if err == nil {
		err = coder.WriteEvents(t.Dir, text)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return coder.TruncateEvents(t.Dir, t.Step, t.Recipe.Loop.Steps)
}

// fork notes in cfg.json what goes on differently from the checkpoint on. A change in
// what is read begins at the first row.
func (t *training) fork(there coder.Card) {
	there = recipe.Renamed(there)
	t.card.Forks = there.Forks
	diff := t.card.Difference(there)
	if len(diff) == 0 {
		return
	}
	if t.readsOtherwise(there) {
		t.Cursor = stream.Cursor{}
	}
	t.card.Forks = append(t.card.Forks, coder.Fork{Step: t.Step, Changed: diff})
	t.kept = -1 // what is there is of the old config
}

// readsOtherwise tells whether what this training reads, or in which order, is not what the card of another one says.
func (t *training) readsOtherwise(there coder.Card) bool {
	cfg, err := recipe.Of(there)
	return err != nil || readingOf(Job{Column: there.Column, Recipe: cfg, Wait: t.Wait}) != readingOf(t.Job) || !coder.SameData(there, t.card)
}

// start writes cfg.json and lets the learner look at a sample.
func (t *training) start(ctx context.Context) error {
	x, n, err := t.feed.sample(ctx, t.Recipe.Loop.InitRows)
	if err != nil {
		return err
	}
	if err := t.learner.Init(x, n); err != nil {
		return err
	}
	if err := errors.Join(coder.WriteCard(t.Dir, t.card), coder.TruncateEvents(t.Dir, -1, 0)); err != nil {
		return err
	}
	return openBoard(t)
}

// checkpoint writes everything that training goes on from, also when ctx has ended. Rank 0 writes.
func (t *training) checkpoint(ctx context.Context) error {
	if t.kept == t.Step || !t.writes() {
		return nil
	}
	if err := t.fetch(); err != nil {
		return err
	}
	var metrics []byte
	if t.Checkpoints != nil {
		text, err := smallfile.Read(filepath.Join(t.Dir, coder.MetricsFile), coder.MaxEvents)
		if present(err) != nil {
			return fmt.Errorf("metrics: %w", err)
		}
		metrics = append([]byte{}, text...)
	}
	t.saved = t.Now()
	p := t.progress
	p.Card = t.card
	if err := t.ckpts.save(context.WithoutCancel(ctx), p, t.learner.State(), metrics); err != nil {
		return err
	}
	t.kept, t.safe = t.Step, t.Cursor
	return nil
}

// save writes the coder.
func (t *training) save(ctx context.Context) error {
	if err := errors.Join(t.checkpoint(ctx), t.fetch()); err != nil {
		return err
	}
	return export(t.learner, filepath.Join(t.Dir, coder.WeightsFile))
}

// export writes the weights of a learner.
func export(l Learner, path string) error {
	switch l := l.(type) {
	case *sae.Learner:
		return l.Export().Save(path)
	case vq.Learner:
		return l.Export().Save(path)
	}
	return fmt.Errorf("export %T: unknown learner", l)
}

// ranOut ends a training that needs more rows than its ring has.
func (t *training) ranOut(ctx context.Context) error {
	if err := t.checkpoint(ctx); err != nil {
		return err
	}
	return fmt.Errorf("the ring has no more rows after step %d of %d, and is read once: end with --resume --fork --set steps=%d", t.Step, t.Recipe.Loop.Steps, t.Step)
}
