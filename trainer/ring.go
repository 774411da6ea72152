package trainer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/trainer/ranks"
	"actfleet/trainer/stream"
)

// A ring is read once, span by span. A training writes a checkpoint when it has left a span, and when the trainings of a
// session are all past a span in their checkpoints the session acknowledges its units: whatever dies then, nobody needs
// them again. The units of the first span, where the held-out rows are, it acknowledges when it has ended.

// ErrReaderEnded says that a reader of a ring needs no more of it.
var ErrReaderEnded = errors.New("the reader has ended")

// ringReader is a session's part in a ring.
type ringReader struct {
	store store.Store
	plan  run.Plan
	name  string
	span  int            // units
	seen  *run.RingState // at the beginning
	next  int            // the first unit that this session has not acknowledged
	ended bool           // it needs no more
}

// readRing is the reader that jobs are, nil of runs that are no ring. It deletes what an interrupted reader left to be
// deleted.
func readRing(ctx context.Context, jobs []Job) (*ringReader, error) {
	if err := checkReaders(jobs); err != nil || len(jobs) == 0 || jobs[0].Reader == "" {
		return nil, err
	}
	j := jobs[0]
	r := &ringReader{store: j.Runs[0].Store, plan: j.Runs[0].Plan, name: j.Reader, span: j.Recipe.Data.Span}
	if r.span == 0 || r.span > r.plan.NumUnits() {
		r.span = r.plan.NumUnits()
	}
	r.next = r.span
	var err error
	if r.seen, err = r.sweep(ctx); err == nil && r.seen.Ended(r.name) {
		err = fmt.Errorf("%s in %s: %w: its units are free, and some are gone", r.name, r.store, ErrReaderEnded)
	}
	return r, err
}

// sweep looks at the ring and deletes what every reader has read.
func (r *ringReader) sweep(ctx context.Context) (*run.RingState, error) {
	s, err := run.LookRing(ctx, r.store, r.plan)
	if err == nil {
		err = s.Sweep(ctx, r.store)
	}
	return s, err
}

// checkReaders refuses jobs that cannot read a ring, or cannot read one together.
func checkReaders(jobs []Job) error {
	for _, j := range jobs {
		i := slices.IndexFunc(j.Runs, func(s stream.Source) bool { return s.Plan.Ring != nil })
		if i < 0 && j.Reader != "" {
			return fmt.Errorf("no run is a ring: a reader's name such as %s is for runs that were collected with --ring", j.Reader)
		}
		if i < 0 {
			continue
		}
		if err := checkReader(j, j.Runs[i]); err != nil {
			return err
		}
		first, other := readingOf(jobs[0]), readingOf(j)
		first.column, first.beside = other.column, other.beside
		if j.Reader != jobs[0].Reader || first != other || readingOf(jobs[0]) != other && (j.Recipe.Data.MaxNorm > 0 || j.Recipe.Data.Sinks == stream.DropSinks) {
			return errors.New("trainings that read a ring together must read alike, in batch, span, shuffle_window, data_seed, filter and holdout, and several columns with sinks=keep or clip and without max_norm: " +
				"one that ran ahead would wait for units that the others hold up; give each a reader of its own")
		}
	}
	return nil
}

// CheckRanks refuses jobs that several ranks cannot train together, before they wait for each other.
func CheckRanks(jobs []Job) error {
	for _, j := range jobs {
		for _, r := range j.Runs {
			if r.Plan.Ring != nil {
				return fmt.Errorf("%s is a ring, which several ranks cannot read: train in one process", r.Store)
			}
		}
	}
	return nil
}

// checkReader refuses a job that cannot read a ring.
func checkReader(j Job, ring stream.Source) error {
	r, l := ring.Plan.Ring, j.Recipe.Loop
	need := ring.Plan.NumUnits()
	if span := j.Recipe.Data.Span; span > 0 {
		need = min(need, run.MinRingUnits*span)
	}
	switch {
	case !slices.Contains(r.Readers, j.Reader):
		return fmt.Errorf("%s is a ring for the readers %q: read it with --follow, and give --reader one of them, not %q", ring.Store, r.Readers, j.Reader)
	case j.Wait == nil:
		return fmt.Errorf("%s is a ring, which is read while it is collected: give --follow", ring.Store)
	case len(j.Runs) > 1 || ring.Units != nil:
		return fmt.Errorf("%s is a ring: it is read alone and whole, not with other runs", ring.Store)
	case ranks.Distributed(ranksOf(j)):
		return CheckRanks([]Job{j})
	case l.Epochs > 0:
		return fmt.Errorf("%s is a ring, which is read once: give steps instead of epochs", ring.Store)
	case need > r.Units:
		return fmt.Errorf("%s is a ring of %d units, and span=%d needs %d of them at once: set span to at most %d", ring.Store, r.Units, j.Recipe.Data.Span, need, r.Units/run.MinRingUnits)
	case int64(l.Steps) > (r.Rows+int64(l.Batch)-1)/int64(l.Batch):
		return fmt.Errorf("%d steps of %d rows are more than the %d rows of the ring %s, which is read once: lower steps", l.Steps, l.Batch, r.Rows, ring.Store)
	}
	return nil
}

// beginRing refuses a training that has not read, in its checkpoint, what its reader acknowledged.
func (s *session) beginRing(ctx context.Context) {
	r := s.ring
	if r == nil {
		return
	}
	for _, t := range s.all {
		if t.ended {
			continue
		}
		for u := max(r.span, t.safe.Span*r.span); u < r.plan.NumUnits(); u++ {
			if r.seen.Acknowledged(r.name, u) {
				s.fail(fmt.Errorf("%s: reader %s of %s has acknowledged unit %d, and the checkpoint here has not read it for good (another training is this reader, or the newest checkpoint is lost): %w",
					t.Dir, r.name, r.store, u, run.ErrOtherReader))
				return
			}
		}
	}
	s.acknowledge(ctx)
}

// fail ends every training.
func (s *session) fail(err error) {
	for _, t := range s.all {
		if t.failed == nil {
			t.failed = err
		}
	}
}

// acknowledge acknowledges the units that no training of the session needs any more.
func (s *session) acknowledge(ctx context.Context) {
	if s.ring == nil || s.ring.ended {
		return
	}
	slowest, furthest := s.ends()
	failed := slices.IndexFunc(s.all, func(t *training) bool { return t.failed != nil })
	var err error
	switch {
	case failed >= 0:
		s.fail(fmt.Errorf("the trainings of reader %s stop together: %w", s.ring.name, s.all[failed].failed))
	case slowest == nil:
		err = s.ring.end(ctx, furthest)
	case slowest.safe.Span*s.ring.span > s.ring.next:
		err = s.ring.release(ctx, s.ring.next, slowest)
	default:
		return
	}
	if err != nil {
		s.fail(fmt.Errorf("acknowledge what reader %s has read: %w", s.ring.name, err))
	}
	for _, t := range s.all {
		for u := s.ring.span; u < s.ring.next; u++ {
			delete(t.Read, u)
		}
	}
}

// ends are the training furthest behind among those that have not ended, nil if all have, and the one furthest ahead.
func (s *session) ends() (slowest, furthest *training) {
	for _, t := range s.all {
		if !t.ended && (slowest == nil || t.safe.Span < slowest.safe.Span) {
			slowest = t
		}
		if furthest == nil || t.Step > furthest.Step {
			furthest = t
		}
	}
	return slowest, furthest
}

// release acknowledges the units from one on that a training is past in its checkpoint, and deletes what is due.
func (r *ringReader) release(ctx context.Context, from int, t *training) error {
	put := context.WithoutCancel(ctx)
	past := min(t.safe.Span*r.span, r.plan.NumUnits())
	for u := from; u < past; u++ {
		tally, ok := t.Read[u]
		if !ok && (u >= r.span && u < r.next || r.seen.Acknowledged(r.name, u)) {
			continue // it was acknowledged, and forgotten
		}
		if err := run.Acknowledge(put, r.store, run.Ack{Reader: r.name, Unit: u, Tally: tally}); err != nil {
			return err
		}
	}
	r.next = max(r.next, past)
	if ctx.Err() != nil {
		return nil
	}
	_, err := r.sweep(ctx)
	return err
}

// end acknowledges what is left, the first span with it, and says that the reader needs no more.
func (r *ringReader) end(ctx context.Context, t *training) error {
	if err := r.release(ctx, 0, t); err != nil {
		return err
	}
	e := run.Ended{Reader: r.name, Units: map[int]run.Tally{}}
	for u, tally := range t.Read {
		if u >= t.safe.Span*r.span {
			e.Units[u] = tally
		}
	}
	if err := run.End(context.WithoutCancel(ctx), r.store, e); err != nil {
		return err
	}
	if r.ended = true; ctx.Err() != nil {
		return nil
	}
	_, err := r.sweep(ctx)
	return err
}
