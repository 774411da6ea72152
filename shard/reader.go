package shard

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go/format"

	"actfleet/shard/store"
)

// Reader reads one shard. What the footer says is checked when the file is opened, page headers when they are passed.
// All methods but Close may be called from several goroutines at once.
type Reader struct {
	src     io.ReaderAt
	mapped  []byte // the whole file, or nil
	need    func(off, size int64)
	close   io.Closer
	schema  Schema
	meta    metadata
	layouts []layout
	rows    int64
	groups  []rawGroup
}

// Open reads a shard from a store, by memory map where the store has one.
func Open(ctx context.Context, st store.Store, key string) (*Reader, error) {
	o, err := st.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	r, err := NewReader(o, o.Size())
	if err != nil {
		o.Close()
		return nil, fmt.Errorf("open shard %s in %s: %w", key, st, err)
	}
	r.close = o
	return r, nil
}

// NewReader reads a shard of size bytes. If r is a store.Mapped, vectors are slices of it. Errors are ErrCorrupt, ErrSchema, or those of r.
func NewReader(r io.ReaderAt, size int64) (*Reader, error) {
	f, err := readFooter(r, size)
	if err != nil {
		return nil, err
	}
	sr := &Reader{src: r, rows: f.rows, groups: f.groups}
	if m, ok := r.(store.Mapped); ok && int64(len(m.Bytes())) == size {
		sr.mapped, sr.need = m.Bytes(), m.Need
		if err := checkHead(r); err != nil {
			return nil, err
		}
	}
	if sr.meta, err = parseMetadata(f.pairs); err != nil {
		return nil, err
	}
	if sr.schema, err = f.schema(sr.meta.vectors); err != nil {
		return nil, err
	}
	for _, v := range sr.meta.vectors {
		sr.layouts = append(sr.layouts, newLayout(v.Vector, v.PageRows))
	}
	return sr, sr.checkGroups(f)
}

// schema turns the schema tree into ours, or says that it is none of ours.
func (f *rawFooter) schema(vectors []vectorMeta) (Schema, error) {
	var s Schema
	n := len(f.elements) - 1 - 3*len(vectors)
	if n < 0 || f.elements[0].children != int64(n+len(vectors)) {
		return s, fmt.Errorf("%w: the schema tree does not have %d vector columns", ErrSchema, len(vectors))
	}
	for _, e := range f.elements[1 : 1+n] {
		t := slices.Index(scalarTypes[:], format.Type(e.physical))
		if t < 0 || e.repetition != int64(format.Required) || e.children != 0 {
			return s, fmt.Errorf("%w: column %.80q is no required scalar of a known type", ErrSchema, e.name)
		}
		s.Scalars = append(s.Scalars, Scalar{Name: e.name, Type: Type(t)})
	}
	for i, v := range vectors {
		if err := checkList(f.elements[1+n+3*i:][:3], v.Vector); err != nil {
			return s, err
		}
		s.Vectors = append(s.Vectors, v.Vector)
	}
	return s, s.Validate()
}

// checkList compares the three levels of a list with a vector column.
func checkList(e []rawElement, v Vector) error {
	list, repeated, element := e[0], e[1], e[2]
	ok := list.name == v.Name && list.repetition == int64(format.Required) && list.children == 1 && list.physical < 0 &&
		repeated.repetition == int64(format.Repeated) && repeated.children == 1 && repeated.physical < 0 &&
		element.repetition == int64(format.Required) && element.physical == int64(vectorType(v.Dtype)) &&
		(v.Dtype != F16 || element.length == 2)
	if !ok {
		return fmt.Errorf("%w: column %.80q is no required list of required %s", ErrSchema, v.Name, v.Dtype)
	}
	return nil
}

// checkGroups holds every row group and chunk against the schema and the file's size.
func (r *Reader) checkGroups(f *rawFooter) error {
	var rows int64
	for g, group := range r.groups {
		full := g+1 < len(r.groups)
		if group.rows < 1 || group.rows > RowGroupRows || full && group.rows != RowGroupRows {
			return fmt.Errorf("%w: row group %d of %d has %d rows", ErrCorrupt, g, len(r.groups), group.rows)
		}
		if err := r.checkChunks(group, f.start); err != nil {
			return fmt.Errorf("row group %d: %w", g, err)
		}
		rows += group.rows
	}
	if rows != r.rows {
		return fmt.Errorf("%w: %d rows, its row groups have %d", ErrCorrupt, r.rows, rows)
	}
	for _, v := range r.meta.vectors {
		if v.Count != r.rows {
			return fmt.Errorf("%w: statistics of column %q count %d of %d rows", ErrCorrupt, v.Name, v.Count, r.rows)
		}
	}
	return nil
}

func (r *Reader) checkChunks(g rawGroup, end int64) error {
	scalars := len(r.schema.Scalars)
	if len(g.chunks) != scalars+len(r.schema.Vectors) {
		return fmt.Errorf("%w: %d columns, the schema has %d", ErrCorrupt, len(g.chunks), scalars+len(r.schema.Vectors))
	}
	for i, c := range g.chunks {
		start := c.start()
		if c.size < 0 || start < int64(len(parquetMagic)) || start > end || c.size > end-start {
			return fmt.Errorf("%w: column %.80q lies at [%d, +%d) outside of the pages", ErrCorrupt, c.name, start, c.size)
		}
		var err error
		if i < scalars {
			err = checkScalarChunk(c, r.schema.Scalars[i], g.rows)
		} else {
			err = checkVectorChunk(c, r.schema.Vectors[i-scalars], r.layouts[i-scalars], g.rows)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkScalarChunk(c rawChunk, s Scalar, rows int64) error {
	if c.name != s.Name || c.physical != int64(scalarTypes[s.Type]) || c.values != rows {
		return fmt.Errorf("%w: chunk of column %.80q: %d values of type %d", ErrCorrupt, c.name, c.values, c.physical)
	}
	if c.codec != int64(format.Uncompressed) && c.codec != int64(format.Snappy) {
		return fmt.Errorf("%w: column %q is compressed with codec %d, this program reads snappy", ErrSchema, s.Name, c.codec)
	}
	return nil
}

func checkVectorChunk(c rawChunk, v Vector, l layout, rows int64) error {
	if c.codec != int64(format.Uncompressed) || c.encodings&^plainBits != 0 || c.dict != 0 {
		return fmt.Errorf("%w: column %q is not plain and uncompressed (was the file rewritten by another program?)", ErrSchema, v.Name)
	}
	size := l.chunkSize(int(rows))
	if c.name != v.Name || c.physical != int64(vectorType(v.Dtype)) || c.values != rows*int64(v.Width) || c.size != size {
		return fmt.Errorf("%w: chunk of column %.80q: %d values in %d bytes, want %d in %d", ErrCorrupt, c.name, c.values, c.size, rows*int64(v.Width), size)
	}
	return nil
}

// Schema is the columns.
func (r *Reader) Schema() Schema { return r.schema }

// Identity is the plan and the unit that the shard says it belongs to.
func (r *Reader) Identity() Identity { return r.meta.id }

// NumRows is the number of rows.
func (r *Reader) NumRows() int64 { return r.rows }

// NumGroups is the number of row groups.
func (r *Reader) NumGroups() int { return len(r.groups) }

// GroupRows is the number of rows of row group g.
func (r *Reader) GroupRows(g int) int { return int(r.groups[g].rows) }

// Stats is what the footer says of a vector column.
func (r *Reader) Stats(col int) VectorStats { return r.meta.vectors[col].VectorStats }

// VectorIndex finds a vector column by name.
func (r *Reader) VectorIndex(name string) (int, bool) { return r.schema.VectorIndex(name) }

// Close frees the file. Slices of a mapped file are invalid after it.
func (r *Reader) Close() error {
	if r.close == nil {
		return nil
	}
	err := r.close.Close()
	r.close, r.mapped = nil, nil
	return err
}

// Span is a range of a file's bytes.
type Span struct{ Off, Size int64 }

// End is the first byte behind it.
func (s Span) End() int64 { return s.Off + s.Size }

// Chunk is where the pages of a column, scalar or vector, lie for row group g. It lets others fetch or copy a column
// without reading it; ok is false where there is no column of that name.
func (r *Reader) Chunk(g int, column string) (s Span, ok bool) {
	for _, c := range r.groups[g].chunks {
		if c.name == column {
			return Span{c.start(), c.size}, true
		}
	}
	return s, false
}

// FooterSize is the length of the part of a shard that ends with the 8 bytes given: what NewReader reads of a file
// that is not in memory.
func FooterSize(tail [8]byte, size int64) (int64, error) {
	n, err := footerLength(tail, size)
	return n + int64(len(tail)), err
}
