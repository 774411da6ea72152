package arrow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"

	"actfleet/internal/mapped"
	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
)

// metaPlan is the key of the plan's id in the metadata of the Arrow schema.
const metaPlan = "actfleet.plan"

// Stream writes the named columns of the readers' rows to w, all columns in shard order if none is named. The readers
// must have the same columns; a vector column may be F16 in one and F32 in another.
func Stream(ctx context.Context, w io.Writer, readers []*shard.Reader, columns ...string) error {
	if len(readers) == 0 {
		return errors.New("arrow stream: no shards")
	}
	var p projection
	for _, r := range readers {
		if err := p.add(r, columns, itself); err != nil {
			return err
		}
	}
	out := newStream(w, p)
	for _, r := range readers {
		if err := out.shard(ctx, r); err != nil {
			return err
		}
	}
	return out.close()
}

// itself is the name under which a column is stored, where each has one name.
func itself(name string) string { return name }

// Run writes the named columns of all rows that are committed in a run, under these names: a column of a site that is
// stored as another one (run.Plan.Column) has both. One shard is open at a time.
func Run(ctx context.Context, w io.Writer, st store.Store, columns ...string) error {
	keys, p, err := survey(ctx, st, columns)
	if err != nil {
		return err
	}
	out := newStream(w, p)
	for _, key := range keys {
		if err := withShard(ctx, st, key, func(r *shard.Reader) error { return out.shard(ctx, r) }); err != nil {
			return err
		}
	}
	return out.close()
}

// survey opens every committed shard of a run once, for the types of its columns.
func survey(ctx context.Context, st store.Store, columns []string) (keys []string, p projection, err error) {
	plan, err := run.ReadPlan(ctx, st)
	if err != nil {
		return nil, p, err
	}
	done, err := run.Readable(ctx, st, plan)
	if err != nil {
		return nil, p, err
	}
	for u, there := range done {
		if !there {
			continue
		}
		keys = append(keys, run.UnitKey(u))
		if err := withShard(ctx, st, run.UnitKey(u), func(r *shard.Reader) error { return p.add(r, columns, plan.Column) }); err != nil {
			return nil, p, err
		}
	}
	if len(keys) == 0 {
		return nil, p, fmt.Errorf("arrow stream: no unit of %s is committed yet", st)
	}
	return keys, p, nil
}

func withShard(ctx context.Context, st store.Store, key string, use func(*shard.Reader) error) (err error) {
	r, err := shard.Open(ctx, st, key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := use(r); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// projection is the columns of a stream.
type projection struct {
	plan    string
	columns []column
}

// column is a scalar or a vector column.
type column struct {
	name   string // in the stream
	stored string // in the shards
	scalar bool
	typ    shard.Type
	vector shard.Vector
}

// add makes the projection of the first shard, and holds the others against it. A column is stored under the name that
// stored gives for it.
func (p *projection) add(r *shard.Reader, names []string, stored func(string) string) error {
	columns, err := project(r.Schema(), names, stored)
	if err != nil {
		return err
	}
	if p.columns == nil {
		p.plan, p.columns = r.Identity().PlanID, columns
		return nil
	}
	if len(p.columns) != len(columns) {
		return fmt.Errorf("arrow stream: %w: unit %d has %d columns, not %d", shard.ErrSchema, r.Identity().Unit, len(columns), len(p.columns))
	}
	for i, c := range columns {
		have := &p.columns[i]
		if have.vector.Dtype != shard.I32 && c.vector.Dtype != shard.I32 {
			have.vector.Dtype = max(have.vector.Dtype, c.vector.Dtype)
			c.vector.Dtype = have.vector.Dtype
		}
		if *have != c {
			return fmt.Errorf("arrow stream: %w: unit %d has another column %q", shard.ErrSchema, r.Identity().Unit, c.name)
		}
	}
	return nil
}

func project(s shard.Schema, names []string, stored func(string) string) (columns []column, err error) {
	var all []column
	for _, c := range s.Scalars {
		all = append(all, column{name: c.Name, stored: c.Name, scalar: true, typ: c.Type})
	}
	for _, v := range s.Vectors {
		all = append(all, column{name: v.Name, stored: v.Name, vector: v})
	}
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		i := slices.IndexFunc(all, func(c column) bool { return c.stored == stored(name) })
		if i < 0 {
			return nil, fmt.Errorf("arrow stream: no column %q; there are %s", name, listed(all))
		}
		c := all[i]
		c.name = name
		columns = append(columns, c)
	}
	return columns, nil
}

// listed names the first columns.
func listed(all []column) string {
	const most = 12
	text := ""
	for i, c := range all {
		if i == most {
			return fmt.Sprintf("%s and %d more", text, len(all)-most)
		}
		text += c.name + " "
	}
	return text
}

// schema is the Arrow schema of the stream.
func (p projection) schema() *arrow.Schema {
	fields := make([]arrow.Field, len(p.columns))
	for i, c := range p.columns {
		fields[i] = arrow.Field{Name: c.name, Type: c.arrowType()}
	}
	meta := arrow.NewMetadata([]string{metaPlan}, []string{p.plan})
	return arrow.NewSchema(fields, &meta)
}

// stream writes record batches.
type stream struct {
	projection
	schema *arrow.Schema
	out    *ipc.Writer
	bufs   [][]byte // per column, used again for every row group
	wide   [][]byte
}

func newStream(w io.Writer, p projection) *stream {
	s := &stream{projection: p, schema: p.schema(), bufs: make([][]byte, len(p.columns)), wide: make([][]byte, len(p.columns))}
	s.out = ipc.NewWriter(w, ipc.WithSchema(s.schema))
	return s
}

// shard writes the rows of one shard.
func (s *stream) shard(ctx context.Context, r *shard.Reader) error {
	for g := range r.NumGroups() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.group(r, g); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) group(r *shard.Reader, g int) (err error) {
	defer mapped.Guard(&err)()
	arrays := make([]arrow.Array, len(s.columns))
	defer func() {
		for _, a := range arrays {
			if a != nil {
				a.Release()
			}
		}
	}()
	for i := range s.columns {
		a, err := s.column(r, g, i)
		if err != nil {
			return err
		}
		arrays[i] = a
	}
	rec := array.NewRecord(s.schema, arrays, int64(r.GroupRows(g)))
	defer rec.Release()
	if err := s.out.Write(rec); err != nil {
		return fmt.Errorf("write arrow stream: %w", err)
	}
	return nil
}

func (s *stream) close() error {
	if err := s.out.Close(); err != nil {
		return fmt.Errorf("write arrow stream: %w", err)
	}
	return nil
}
