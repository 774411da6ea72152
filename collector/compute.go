package collector

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"actfleet/collector/model"
	"actfleet/shard"
	"actfleet/shard/store"
)

// ErrNonFinite says that the model produced a NaN or an infinity; the message names prompt, position and tap.
var ErrNonFinite = errors.New("activation is not finite")

// ErrOverflow says that a value does not fit fp16 and the plan insists on it.
var ErrOverflow = errors.New("activation does not fit fp16")

// task is one unit to compute.
type task struct {
	unit   int
	key    string // of the object it becomes
	schema shard.Schema
	groups *groups // row groups of that schema to fill; nobody else uses them meanwhile
	// progress is told after each batch, from one goroutine at a time; nil: nobody is.
	progress func(Progress)
}

// written is a unit's file before it is committed.
type written struct {
	pending store.Pending
	footer  shard.Footer
}

// compute hands every batch of a unit to the lanes and returns; the returned function waits for them and for
// the writer. If a column overflows fp16 under dtype auto, it computes the unit again with that column in fp32.
func (us *units) compute(ctx context.Context, t task) (finish func() (written, error), err error) {
	a, err := us.begin(ctx, t)
	if err != nil {
		return nil, err
	}
	a.feed()
	return func() (written, error) {
		w, tooLarge, err := a.finish()
		if err != nil || len(tooLarge) == 0 {
			return w, err
		}
		t.schema.Vectors = slices.Clone(t.schema.Vectors)
		for _, i := range tooLarge {
			t.schema.Vectors[i].Dtype = shard.F32
		}
		count, err := us.groupCount()
		if err != nil {
			return written{}, err
		}
		t.groups = newGroups(t.schema, count)
		finish, err := us.compute(ctx, t)
		if err != nil {
			return written{}, err
		}
		return finish()
	}, nil
}

// attempt is one try at a task; another follows only if a column overflows.
type attempt struct {
	us       *units
	task     task
	prefix   *prefix // of the unit's prompts; nil: none
	pending  store.Pending
	writer   *shard.Writer
	full     chan *group // to the writer, in the order of the rows
	running  *errgroup.Group
	ctx      context.Context // ends with the attempt's first error
	fail     context.CancelCauseFunc
	passes   context.Context // ends with ctx, and when the unit is dropped
	release  func() bool     // lets go of what ends passes
	overflow []atomic.Bool   // per vector column
	passed   passed
}

// passed is what of a unit has gone through the model.
type passed struct {
	mu sync.Mutex
	Progress
	positions, positionsOf int // computed, and to be computed
}

// expect says what will go through the model.
func (p *passed) expect(work []batch) {
	for _, b := range work {
		p.Of += len(b.prompts)
		p.positionsOf += b.computed()
	}
}

// add counts a batch and tells how far the unit is.
func (p *passed) add(b batch, tell func(Progress)) {
	if tell == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Batch = len(b.prompts)
	p.Prompts += p.Batch
	p.positions += b.computed()
	p.Part = float64(p.positions) / float64(p.positionsOf)
	tell(p.Progress)
}

// begin opens the task's pending object and starts its writer.
func (us *units) begin(ctx context.Context, t task) (*attempt, error) {
	pending, err := us.store.Create(ctx, t.key)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", t.key, err)
	}
	w, err := shard.NewWriter(pending, t.schema, shard.Identity{PlanID: us.planID, Unit: t.unit})
	if err != nil {
		return nil, errors.Join(err, pending.Abort())
	}
	a := &attempt{us: us, task: t, pending: pending, writer: w,
		full: make(chan *group, cap(t.groups.free)), overflow: make([]atomic.Bool, len(t.schema.Vectors))}
	ctx, a.fail = context.WithCancelCause(ctx)
	a.running, a.ctx = errgroup.WithContext(ctx)
	passes, drop := context.WithCancel(a.ctx)
	a.passes, a.release = passes, context.AfterFunc(us.drop, drop)
	a.running.Go(a.write)
	return a, nil
}

// feed hands the unit's batches to the lanes, in order, and returns when the last one has found a lane.
func (a *attempt) feed() {
	work, err := a.us.batches(a.task.unit)
	if err == nil {
		if a.prefix, err = a.us.share(a.passes, work, singles(a.task.schema.Vectors)); err != nil {
			err = fmt.Errorf("the prompts' common beginning: %w", err)
		}
	}
	if err != nil {
		a.running.Go(func() error { return err })
		work = nil
	}
	a.passed.expect(work)
	for _, b := range work {
		segments, err := a.task.groups.place(a.ctx, a.us.kept(b), a.full)
		if err != nil {
			a.running.Go(func() error { return err })
			break
		}
		a.us.lanes.enter()
		a.running.Go(func() error {
			defer a.us.lanes.leave()
			return a.batch(b, segments)
		})
	}
	a.task.groups.flush(a.full)
	close(a.full)
}

// batch takes one batch through the model into its segments. Its error is known before the writer may look at them.
func (a *attempt) batch(b batch, segments []segment) (err error) {
	defer func() {
		if err != nil {
			a.fail(err)
		}
		for _, s := range segments {
			s.group.filling.Done()
		}
	}()
	after, err := a.forward(b, segments)
	if err != nil {
		return fmt.Errorf("prompts %d to %d: %w", slices.Min(b.prompts), slices.Max(b.prompts), err)
	}
	answers := a.us.choices.odds(after)
	for _, s := range segments {
		a.us.scalars.fill(b, answers, s)
	}
	a.passed.add(b, a.task.progress)
	return nil
}

// pack writes the kept positions of one tap's output into their row groups.
func (a *attempt) pack(i int, v model.View, b batch, segments []segment) error {
	for _, s := range segments {
		for done := 0; done < len(s.kept); {
			rows, at := a.prefix.part(i, b, s.kept[done:])
			m, err := a.packEither(i, rows, v, at, b, s.from(done))
			if err != nil {
				return err
			}
			s.group.merge(i, m)
			done += len(at)
		}
	}
	return nil
}

// packEither is packPart for rows of the prefix, or without them for those of a view.
func (a *attempt) packEither(i int, rows *model.Rows, v model.View, at []int32, b batch, s segment) (shard.VectorStats, error) {
	switch {
	case rows == nil:
		return a.packPart(i, v, at, b, s)
	case rows.F16 != nil:
		return s.group.storeAt(i, s.first, *rows, at), nil
	}
	return a.packPart(i, rows.View(), at, b, s)
}

// packPart writes the vectors at some places of a view into the first rows of s, and says what it measured.
func (a *attempt) packPart(i int, from model.View, at []int32, b batch, s segment) (shard.VectorStats, error) {
	column := a.task.schema.Vectors[i]
	m := s.group.pack(i, column, s.first, from, at)
	switch {
	case m.NonFinite > 0:
		return m, a.locate(i, from, at, b, s.kept)
	case m.Overflow > 0 && a.us.plan.Dtype == "f16":
		return m, fmt.Errorf("%w: column %s holds a magnitude of 65520 or more; collect with --dtype auto or f32", ErrOverflow, column.Name)
	case m.Overflow > 0:
		a.overflow[i].Store(true)
	}
	return m, nil
}

// locate names the first value that is not finite among the vectors at some places of a view, which stand at
// kept in the batch.
func (a *attempt) locate(i int, v model.View, at []int32, b batch, kept []int32) error {
	for k, vector := range v.Places(at) {
		for d, x := range v.Data[int(vector)*v.D : (int(vector)+1)*v.D] {
			if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
				t, prompt, pos := a.us.taps[i], int(kept[k])/b.steps, int(kept[k])%b.steps
				return fmt.Errorf("%w: row %d, position %d: %s of layer %d, channel %d is %v",
					ErrNonFinite, b.prompts[prompt], pos, t.Site, t.Layer, d, x)
			}
		}
	}
	return fmt.Errorf("%w: column %s", ErrNonFinite, a.task.schema.Vectors[i].Name)
}

// write is the writer's goroutine: it ends when full is closed. After an error it keeps taking groups, so
// that the computing side never waits for a writer that has given up.
func (a *attempt) write() (err error) {
	for g := range a.full {
		g.complete()
		if err == nil {
			err = context.Cause(a.ctx)
		}
		if err == nil {
			err = a.writing(a.writer.WriteBlock(g.block))
		}
		a.task.groups.give(g)
	}
	return err
}

func (a *attempt) writing(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("unit %d: %w", a.task.unit, err)
}

// finish waits for the batches and the writer. It returns the columns that overflowed fp16, if any; then,
// and after an error, nothing is left of the attempt.
func (a *attempt) finish() (w written, tooLarge []int, err error) {
	w.pending = a.pending
	err = a.running.Wait()
	a.fail(nil)
	a.release()
	a.prefix.leave()
	for i := range a.overflow {
		if a.overflow[i].Load() {
			tooLarge = append(tooLarge, i)
		}
	}
	if err == nil && len(tooLarge) == 0 {
		w.footer, err = a.writer.Close()
		err = a.writing(err)
	}
	if err != nil || len(tooLarge) > 0 {
		err = errors.Join(err, a.pending.Abort())
	}
	return w, tooLarge, err
}
