package stream

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Count is the number of rows of an epoch, from the scalar columns alone: rows that
// are left out for their vectors are still in it. While units are waited for it counts
// those that are open.
func (s *Stream) Count(ctx context.Context) (int64, error) {
	here := s.here()
	if len(here[0].match.preds) == 0 {
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
				n, err = p.count(m, i)
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

func (p *part) count(m *matcher, g int) (n int64, err error) {
	cols, err := p.Scalars(g, m.columns...)
	if err != nil {
		return 0, err
	}
	for i := range p.GroupRows(g) {
		if m.keep(cols, i) {
			n++
		}
	}
	return n, nil
}
