package collector

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"actfleet/collector/model"
	"actfleet/internal/torch"
	"actfleet/shard"
)

// Measured is how long a position of a run took, of a few batches in all lanes at once: seconds, divided by the lanes.
type Measured struct {
	Lanes int `json:"lanes"`
	// Bare is the model as far as its last tap, with all that comes to the host for nobody; Tapped with every tap copied
	// to the host and packed.
	Bare   float64 `json:"bare_seconds_per_position"`
	Tapped float64 `json:"tapped_seconds_per_position"`
}

// calibration is for how long batches are begun, with taps and without.
const calibration = time.Second

// sampled are the places of the batches that are measured, in eighths of all of them and in this order: those of one unit
// rise in length, and on a slow machine the first must do.
var sampled = [...]int{4, 2, 6, 1, 5, 3, 7, 0}

// sample is a few batches, spread evenly over all.
func sample(work []batch) (some []batch) {
	var taken []int
	for _, eighth := range sampled {
		if i := len(work) * eighth / len(sampled); !slices.Contains(taken, i) {
			taken, some = append(taken, i), append(some, work[i])
		}
	}
	return some
}

// calibrate measures some batches.
func (us *units) calibrate(ctx context.Context, now func() time.Time, some []batch) (m Measured, err error) {
	m.Lanes = us.lanes.count()
	last := us.lastTap()
	m.Bare, err = us.inLanes(ctx, now, some, func(ctx context.Context, b batch, p *prefix) error { return us.bare(ctx, b, p, last) })
	if err == nil {
		m.Tapped, err = us.inLanes(ctx, now, some, us.packed)
	}
	return m, err
}

// inLanes runs batches in all lanes, each lane at least one, for a while or until all have been run twice, and returns the
// seconds a position. A first one, which is not counted, warms up.
func (us *units) inLanes(ctx context.Context, now func() time.Time, some []batch, run func(context.Context, batch, *prefix) error) (float64, error) {
	if err := us.once(ctx, some[0], run); err != nil {
		return 0, err
	}
	lanes := us.lanes.count()
	var next, took, positions atomic.Int64
	began := now()
	running, ctx := errgroup.WithContext(ctx)
	for range lanes {
		running.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= lanes && (i >= 2*len(some) || now().Sub(began) > calibration) {
					return nil
				}
				b, from := some[i%len(some)], now()
				if err := us.once(ctx, b, run); err != nil {
					return err
				}
				took.Add(int64(now().Sub(from)))
				positions.Add(int64(b.computed()))
			}
		})
	}
	err := running.Wait()
	return time.Duration(took.Load()).Seconds() / float64(lanes) / float64(max(1, positions.Load())), err
}

// once runs a batch whose prompts are to be read.
func (us *units) once(ctx context.Context, b batch, run func(context.Context, batch, *prefix) error) (err error) {
	if b.input, err = us.input.Rows(slices.Min(b.prompts), slices.Max(b.prompts)+1); err != nil {
		return err
	}
	p, err := us.share(ctx, []batch{b}, singles(us.plan.Vectors))
	if err != nil {
		return err
	}
	defer p.leave()
	return run(ctx, b, p)
}

// packed takes a batch through the model and its kept positions into columns that nobody reads.
func (us *units) packed(ctx context.Context, b batch, p *prefix) error {
	kept := us.kept(b)
	scratch := make([]byte, int64(len(kept))*widest(us.plan.Vectors))
	sums := make([]float64, len(kept))
	r := us.request(b, p)
	r.Emit = func(c int, v model.View) error {
		vec := us.plan.Vectors[c]
		for rest := kept; len(rest) > 0; {
			from := v
			rows, at := p.part(c, b, rest)
			if rows != nil {
				from = rows.View() // a GPU's go another way: Kept
			}
			packVectors(scratch[:len(at)*vec.RowBytes()], vec.Dtype, from, at, sums[:len(at)])
			rest = rest[len(at):]
		}
		return nil
	}
	r.Kept = &model.Kept{At: ownPlaces(kept, b), F32: singles(us.plan.Vectors), Emit: func(c int, rows model.Rows) error {
		if rows.F16 != nil {
			new(torch.Packed).Halves(scratch, rows.F16, rows.D, sums[:rows.Len()])
			return nil
		}
		packVectors(scratch, us.plan.Vectors[c].Dtype, rows.View(), upTo(rows.Len()), sums[:rows.Len()])
		return nil
	}}
	_, err := us.model.Forward(ctx, r)
	return err
}

// widest is the bytes of the largest vector.
func widest(vectors []shard.Vector) (most int64) {
	for _, v := range vectors {
		most = max(most, int64(v.RowBytes()))
	}
	return most
}
