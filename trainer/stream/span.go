package stream

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
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

// mostWindows bounds the windows of an epoch: units that are not open may have any
// number.
func (s *Stream) mostWindows() int {
	here := s.here()
	if len(here) < len(s.parts) {
		return 1 << 40
	}
	return windows(len(listGroups(here)), s.cfg.ShuffleWindow) + s.spans()
}
