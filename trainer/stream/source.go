package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
)

// Source is one run to read.
type Source struct {
	Store store.Store
	Plan  run.Plan
	Units []int // the units to read; nil is all of the plan
}

// NoRing refuses runs whose shards are deleted once their readers have read them: what reads as it likes, and not as a
// training with a reader's name does, cannot read those.
func NoRing(runs []Source) error {
	for _, r := range runs {
		if r.Plan.Ring != nil {
			return fmt.Errorf("%s is a ring, whose shards are deleted once its readers have read them: only train sae and train tokenizer read it, with --follow --reader NAME; for anything else collect without --ring", r.Store)
		}
	}
	return nil
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
	place       int // in the first epoch
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

// listParts is every unit of the runs, those of several runs interleaved.
func listParts(runs []Source) (parts []*part) {
	place := map[*part]float64{}
	for r, src := range runs {
		all := src.All()
		for i, u := range all {
			p := &part{run: r, number: u}
			place[p] = (float64(i) + 0.5) / float64(len(all))
			parts = append(parts, p)
		}
	}
	slices.SortStableFunc(parts, func(a, b *part) int { return cmp.Compare(place[a], place[b]) })
	for i, p := range parts {
		p.place = i
	}
	return parts
}

// unchanged compares the sizes of the units with the runs' manifests, where there are.
func unchanged(ctx context.Context, runs []Source) error {
	for _, src := range runs {
		m, err := run.ReadManifest(ctx, src.Store)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		there, err := src.Store.List(ctx, path.Dir(run.UnitKey(0))+"/")
		if err != nil {
			return err
		}
		size := map[string]int64{}
		for _, info := range there {
			size[info.Key] = info.Size
		}
		for _, u := range m.Units {
			if n, ok := size[u.Key]; ok && n != u.Size {
				return fmt.Errorf("%s of %s has %d bytes, its manifest says %d: it was changed; run actfleet check", u.Key, src.Store, n, u.Size)
			}
		}
	}
	return nil
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
		if v.Dtype == shard.I32 {
			return fmt.Errorf("unit %d: column %s holds numbers of things, not vectors to learn from", p.number, name)
		}
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
