package stream

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"actfleet/shard"
	"actfleet/shard/store"
)

// Source is one run to read.
type Source struct {
	Store store.Store
	Plan  shard.Plan
	Units []int // the units to read; nil is all of the plan
}

// unit is an open shard: the part of *shard.Reader the stream uses.
type unit interface {
	Schema() shard.Schema
	NumGroups() int
	GroupRows(g int) int
	VectorIndex(name string) (int, bool)
	Stats(col int) shard.VectorStats
	Scalars(g int, names ...string) ([]any, error)
	Vector(g, col int, buf []byte) ([]byte, error)
	Close() error
}

var _ unit = (*shard.Reader)(nil)

// part is one open unit with what the stream resolved in its schema.
type part struct {
	unit
	run, number int // index of the Source, number of the unit in its plan
	columns     []column
	width       int // of all columns
	match       *matcher
	checkFinite bool // the footer counts values that are not finite
}

// column is a vector column of a unit.
type column struct {
	index, width int
	dtype        shard.Dtype
}

// bytes is what a row takes.
func (c column) bytes() int { return c.width * c.dtype.Size() }

// group is one row group.
type group struct {
	part  *part
	index int
	rows  int
}

// openLimit bounds the footers read at once.
const openLimit = 8

// openParts opens every unit of the sources, in order.
func openParts(ctx context.Context, runs []Source, cfg Config) ([]*part, error) {
	var parts []*part
	for r, src := range runs {
		for _, u := range src.All() {
			parts = append(parts, &part{run: r, number: u})
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(openLimit)
	for _, p := range parts {
		g.Go(func() error {
			src := runs[p.run]
			r, err := shard.Open(ctx, src.Store, shard.UnitKey(p.number))
			if errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("open unit %d of %s: %w: the run is not complete; collect the rest first", p.number, src.Store, err)
			}
			if err != nil {
				return fmt.Errorf("open unit %d of %s: %w", p.number, src.Store, err)
			}
			p.unit = r
			return p.resolve(cfg)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, errors.Join(err, closeParts(parts))
	}
	return parts, nil
}

// All lists the units that are read.
func (s Source) All() []int {
	if s.Units != nil {
		return s.Units
	}
	all := make([]int, s.Plan.NumUnits())
	for i := range all {
		all[i] = i
	}
	return all
}

// resolve finds the columns and compiles the filter.
func (p *part) resolve(cfg Config) error {
	s := p.Schema()
	for _, name := range cfg.names() {
		col, ok := p.VectorIndex(name)
		if !ok {
			return fmt.Errorf("unit %d: no vector column %q", p.number, name)
		}
		v := s.Vectors[col]
		p.columns = append(p.columns, column{col, v.Width, v.Dtype})
		p.width += v.Width
		p.checkFinite = p.checkFinite || p.Stats(col).NonFinite > 0
	}
	var err error
	p.match, err = cfg.Filter.compile(s)
	return err
}

func closeParts(parts []*part) error {
	var errs []error
	for _, p := range parts {
		if p.unit != nil {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}

// listGroups is the row groups of all parts in order.
func listGroups(parts []*part) []group {
	var out []group
	for _, p := range parts {
		for g := range p.NumGroups() {
			out = append(out, group{p, g, p.GroupRows(g)})
		}
	}
	return out
}
