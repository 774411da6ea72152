package stream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/trainer/coder"
)

// unitOrder is the units in the order of an epoch: as they stand in the first, so that
// a stream can follow a collection; permuted in later ones, which matters only when
// they are more than a span.
func (s *Stream) unitOrder(epoch int) []*part {
	parts := slices.Clone(s.parts)
	if epoch > 0 && s.spans() > 1 {
		shuffle(rng(s.cfg.Seed, epoch, unitsOf), parts)
	}
	return parts
}

// spans is the number of spans of an epoch.
func (s *Stream) spans() int { return windows(len(s.parts), s.spanUnits()) }

func (s *Stream) spanUnits() int {
	if s.cfg.Span == 0 {
		return max(1, len(s.parts))
	}
	return s.cfg.Span
}

// span is the units of span i of an epoch.
func (s *Stream) span(epoch, i int) []*part {
	return nth(s.unitOrder(epoch), i, s.spanUnits())
}

// First is the runs with the units of the first span alone.
func First(runs []Source, span int) []Source {
	s := Stream{cfg: Config{Span: span}, parts: listParts(runs)}
	out := slices.Clone(runs)
	for i := range out {
		out[i].Units = []int{}
	}
	for _, p := range s.span(0, 0) {
		out[p.run].Units = append(out[p.run].Units, p.number)
	}
	return out
}

// ensure opens units that are not open yet.
func (s *Stream) ensure(ctx context.Context, parts []*part) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(openLimit)
	var fresh []*part
	here := s.here()
	for _, p := range parts {
		if !slices.Contains(here, p) {
			fresh = append(fresh, p)
			g.Go(func() error { return s.open(gctx, p) })
		}
	}
	err := g.Wait()
	for _, p := range fresh {
		if p.unit == nil {
			continue
		}
		s.mu.Lock()
		s.opened = append(s.opened, p)
		s.mu.Unlock()
		if s.first == nil {
			s.first = p.columns
		}
		if err == nil {
			err = s.fits(p)
		}
	}
	return err
}

// fits refuses a unit whose vectors are longer or shorter than the first one's.
func (s *Stream) fits(p *part) error {
	for i, c := range p.columns {
		if first := s.first[i].width; c.width != first {
			return fmt.Errorf("column %s is %d wide in one run and %d in another", s.cfg.names()[i], first, c.width)
		}
	}
	return nil
}

// here are the units opened so far.
func (s *Stream) here() []*part {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.opened)
}

// mostRows bounds the rows of an epoch, as far as they are known.
func (s *Stream) mostRows() int {
	if len(s.here()) < len(s.parts) {
		return math.MaxInt
	}
	return int(s.Rows())
}

// mostWindows bounds the windows of an epoch: units that are not open may have any
// number.
func (s *Stream) mostWindows() int {
	here := s.here()
	if len(here) < len(s.parts) {
		return 1 << 40
	}
	return windows(len(listGroups(here)), s.cfg.ShuffleWindow) + s.spans()
}

// open opens a unit, for which it waits if it may.
func (s *Stream) open(ctx context.Context, p *part) error {
	src := s.runs[p.run]
	for {
		r, err := shard.Open(ctx, src.Store, run.UnitKey(p.number))
		if errors.Is(err, store.ErrNotFound) {
			if err := run.Gone(ctx, src.Store, src.Plan, p.number); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, store.ErrNotFound) && s.cfg.Wait != nil:
			if err := s.cfg.Wait(ctx, p.number); err != nil {
				return fmt.Errorf("wait for unit %d of %s: %w", p.number, src.Store, err)
			}
			continue
		case errors.Is(err, store.ErrNotFound):
			return fmt.Errorf("open unit %d of %s: %w: the run is not complete; collect the rest first, or add --follow", p.number, src.Store, err)
		case err != nil:
			return fmt.Errorf("open unit %d of %s: %w", p.number, src.Store, err)
		}
		if want := src.Plan.Identity(p.number); r.Identity() != want {
			return errors.Join(fmt.Errorf("unit %d of %s says that it is unit %d of plan %.12s, not of %.12s: it was changed after the run was planned; delete it and collect it again",
				p.number, src.Store, r.Identity().Unit, r.Identity().PlanID, want.PlanID), r.Close())
		}
		p.unit = r
		return p.resolve(s.cfg)
	}
}

// Count is the number of rows of an epoch, from the scalar columns alone: rows that
// are left out for their vectors are still in it, but for those of positions that sinks are at. While units are waited for it counts
// those that are open.
func (s *Stream) Count(ctx context.Context) (int64, error) {
	here := s.here()
	if len(here[0].match.preds) == 0 && !s.cfg.leavesSome() {
		return s.Rows(), nil
	}
	var total atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(openLimit)
	for _, p := range here {
		g.Go(func() error {
			m, err := s.cfg.Filter.compile(p.Schema()) // a matcher remembers lengths: one for each goroutine
			for i := 0; i < p.NumGroups() && err == nil; i++ {
				var n int64
				n, err = p.count(m, i, s.cfg)
				total.Add(n)
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
			return err
		})
	}
	err := g.Wait()
	return total.Load(), err
}

func (p *part) count(m *matcher, g int, cfg Config) (n int64, err error) {
	cols, err := p.Scalars(g, m.columns...)
	if err != nil {
		return 0, err
	}
	for i := range p.GroupRows(g) {
		if m.keep(cols, i) && !cfg.leaves(cols[colPos].([]int32)[i]) {
			n++
		}
	}
	return n, nil
}

// checkRing refuses what cannot read a ring, and notes that one is read: once, if Epochs says so, or again and again, as
// the rows of a first span that the reader has not acknowledged.
func (c *Config) checkRing(runs []Source) error {
	for _, r := range runs {
		switch {
		case r.Plan.Ring == nil:
			continue
		case len(runs) > 1:
			return fmt.Errorf("%s is a ring: it is read alone, not with other runs", r.Store)
		case c.Wait == nil:
			return NoRing(runs)
		}
		c.once = c.Epochs == 1
	}
	return nil
}

// closeBefore closes the units of a ring that stand before a span, so that a deleted shard's bytes are free. No window of
// them is in use any more.
func (s *Stream) closeBefore(span int) error {
	if !s.cfg.once {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	s.opened = slices.DeleteFunc(s.opened, func(p *part) bool {
		past := p.place/s.spanUnits() < span
		if past {
			errs = append(errs, p.Close())
			*p = part{place: p.place, run: p.run, number: p.number}
		}
		return past
	})
	return errors.Join(errs...)
}

// tallyOthers counts the rows of a group that are not among the kept ones.
func tallyOthers(rows int, kept []int32, prompts []int64, pos []int32) (t run.Tally) {
	for r := range rows {
		if len(kept) > 0 && int(kept[0]) == r {
			kept = kept[1:]
			continue
		}
		t.Add(prompts[r], pos[r])
	}
	return t
}

// merge adds the tallies of units to others.
func merge(into, from map[int]run.Tally) map[int]run.Tally {
	if into == nil && len(from) > 0 {
		into = map[int]run.Tally{}
	}
	for u, t := range from {
		sum := into[u]
		sum.Merge(t)
		into[u] = sum
	}
	return into
}

// leaves tells whether the rows of a token position are left out together.
func (c Config) leaves(pos int32) bool {
	return c.Sinks == DropSinks && slices.ContainsFunc(c.Norms, func(n coder.Norms) bool { return n.At(pos) })
}

// leavesSome tells whether there is such a position.
func (c Config) leavesSome() bool {
	return c.Sinks == DropSinks && slices.ContainsFunc(c.Norms, func(n coder.Norms) bool { return len(n.Positions) > 0 })
}
