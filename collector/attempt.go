package collector

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"actfleet/collector/dataset"
	"actfleet/collector/model"
	"actfleet/shard"
	"actfleet/shard/store"
)

// attempt is one try at a unit's shard with a given schema.
type attempt struct {
	*units
	unit     int
	schema   shard.Schema
	groups   *groups
	input    *dataset.Input // the unit's prompts
	prefix   *prefix        // of the unit's prompts; nil: none
	pending  store.Pending
	writer   *shard.Writer
	full     chan *group // to the writer, in the order of the rows
	running  *errgroup.Group
	ctx      context.Context // ends with the attempt's first error
	overflow []atomic.Bool   // per vector column
}

// begin opens the pending object of unit u at a key and starts its writer.
func (us *units) begin(ctx context.Context, st store.Store, key string, u int, schema shard.Schema, g *groups) (*attempt, error) {
	in, err := us.rows(u)
	if err != nil {
		return nil, err
	}
	pending, err := st.Create(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", key, err)
	}
	w, err := shard.NewWriter(pending, schema, shard.Identity{PlanID: us.planID, Unit: u})
	if err != nil {
		return nil, errors.Join(err, pending.Abort())
	}
	a := &attempt{units: us, unit: u, schema: schema, groups: g, input: in, pending: pending, writer: w,
		full: make(chan *group, cap(g.free)), overflow: make([]atomic.Bool, len(schema.Vectors))}
	a.running, a.ctx = errgroup.WithContext(ctx)
	a.running.Go(a.write)
	return a, nil
}

// feed hands the unit's batches to the lanes, in order, and returns when the last one has found a lane.
func (a *attempt) feed() {
	work := a.batches(a.unit, a.input)
	var err error
	if a.prefix, err = a.share(a.ctx, work, a.input); err != nil {
		a.running.Go(func() error { return fmt.Errorf("the prompts' common beginning: %w", err) })
		work = nil
	}
	for _, b := range work {
		segments, err := a.groups.place(a.ctx, a.kept(b), a.full)
		if err != nil {
			a.running.Go(func() error { return err })
			break
		}
		a.lanes.enter()
		a.running.Go(func() error {
			defer a.lanes.leave()
			return a.batch(b, segments)
		})
	}
	a.groups.flush(a.full)
	close(a.full)
}

// finish waits for the batches and the writer. It returns the columns that overflowed fp16, if any; then,
// and after an error, nothing is left of the attempt.
func (a *attempt) finish() (w written, tooLarge []int, err error) {
	w.pending = a.pending
	err = a.running.Wait()
	a.prefix.leave()
	tooLarge = a.tooLarge()
	if err == nil && len(tooLarge) == 0 {
		w.footer, err = a.writer.Close()
		err = a.writing(err)
	}
	if err != nil || len(tooLarge) > 0 {
		err = errors.Join(err, a.pending.Abort())
	}
	return w, tooLarge, err
}

// write is the writer's goroutine: it ends when full is closed. After an error it keeps taking groups, so
// that the computing side never waits for a writer that has given up.
func (a *attempt) write() (err error) {
	for g := range a.full {
		g.settle()
		if err == nil && a.ctx.Err() == nil {
			err = a.writing(a.writer.WriteBlock(g.Block))
		}
		a.groups.give(g)
	}
	return err
}

func (a *attempt) writing(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("unit %d: %w", a.unit, err)
}

// batch takes one batch through the model into its segments.
func (a *attempt) batch(b batch, segments []segment) error {
	defer func() {
		for _, s := range segments {
			s.group.filling.Done()
		}
	}()
	emit := func(i int, v model.View) error { return a.pack(i, v, b, segments) }
	logits, err := a.forward(a.ctx, a.input, b, a.prefix, emit)
	if err != nil {
		return fmt.Errorf("rows %v: %w", span(b.rows), err)
	}
	fill := scalars{units: a.units, input: a.input, batch: b, odds: a.choices.odds(logits)}
	for _, s := range segments {
		fill.segment(s)
	}
	return nil
}

// pack writes the kept rows of one tap's output into their row groups.
func (a *attempt) pack(i int, v model.View, b batch, segments []segment) error {
	for _, s := range segments {
		for done := 0; done < len(s.flat); {
			from, rows := a.prefix.part(i, v, b, s.flat[done:])
			m := a.packPart(i, from, s.group, s.at+done, rows)
			if m.NonFinite > 0 {
				return a.locate(i, from, rows, b, s.flat[done:])
			}
			if m.Overflow > 0 && a.plan.Dtype == "f16" {
				return fmt.Errorf("%w: column %s holds a magnitude of 65520 or more; collect with --dtype auto or f32", ErrOverflow, a.schema.Vectors[i].Name)
			}
			if m.Overflow > 0 {
				a.overflow[i].Store(true)
			}
			done += len(rows)
		}
	}
	return nil
}

// packPart writes rows of one view to places at, at+1 and so on of a group.
func (a *attempt) packPart(i int, v model.View, g *group, at int, rows []int32) shard.VectorStats {
	vec, n := a.schema.Vectors[i], len(rows)
	m := pack(g.Vectors[i][at*vec.RowBytes():(at+n)*vec.RowBytes()], vec.Dtype, v, rows, g.sumsOf(i, at, n))
	g.note(i, n, m)
	return m
}

// locate names the first value that is not finite among rows of a view, which stand at flat in the batch.
func (a *attempt) locate(i int, v model.View, rows []int32, b batch, flat []int32) error {
	for k, r := range rows {
		at := flat[k]
		for d, x := range v.Data[int(r)*v.D : (int(r)+1)*v.D] {
			if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
				t := a.taps[i]
				return fmt.Errorf("%w: row %d, position %d: %s of layer %d, channel %d is %v",
					ErrNonFinite, b.rows[int(at)/b.steps], int(at)%b.steps, t.Site, t.Layer, d, x)
			}
		}
	}
	return fmt.Errorf("%w: column %s", ErrNonFinite, a.schema.Vectors[i].Name)
}

// tooLarge lists the vector columns with values that do not fit fp16.
func (a *attempt) tooLarge() (columns []int) {
	for i := range a.overflow {
		if a.overflow[i].Load() {
			columns = append(columns, i)
		}
	}
	return columns
}

func span(rows []int) [2]int {
	lo, hi := rows[0], rows[0]
	for _, r := range rows {
		lo, hi = min(lo, r), max(hi, r)
	}
	return [2]int{lo, hi}
}
