package shard

import (
	"errors"
	"fmt"
	"io"
	"math"
)

// Writer writes one shard. The bytes depend on the schema, the identity and the blocks alone. It is not safe for use
// by several goroutines.
//
// The scalar columns of a row group are encoded by parquet-go and copied; each page of a vector column is two writes:
// a header of a few kilobytes at most, and the caller's memory as it is.
type Writer struct {
	out     io.Writer
	offset  int64
	schema  Schema
	meta    metadata
	layouts []layout
	scalars *scalarWriter
	groups  []group
	rows    int64
	last    bool  // a short block was written
	err     error // the first failure; nothing is written after it
}

// group is a row group that is written.
type group struct {
	rows    int
	start   int64
	vectors []chunk
}

// Footer says what a shard holds, after it is written.
type Footer struct {
	Rows   int64
	Groups int
	Size   int64         // bytes
	Stats  []VectorStats // per vector column
}

// maxGroups is the limit of the 16-bit ordinal in Parquet's footer.
const maxGroups = math.MaxInt16

// errWriterClosed is the state after Close.
var errWriterClosed = errors.New("shard writer is closed")

// NewWriter begins a shard.
func NewWriter(w io.Writer, s Schema, id Identity) (*Writer, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if id.Unit < 0 || id.Unit >= MaxUnits || len(id.PlanID) > MaxName {
		return nil, fmt.Errorf("%w: unit %d of plan %.80q", ErrSchema, id.Unit, id.PlanID)
	}
	sw := &Writer{out: w, schema: s, scalars: newScalarWriter(s.Scalars), meta: metadata{id: id, vectors: make([]vectorMeta, len(s.Vectors))}}
	for i, v := range s.Vectors {
		sw.meta.vectors[i] = vectorMeta{Vector: v, PageRows: pageRowsFor(v.RowBytes())}
		sw.layouts = append(sw.layouts, newLayout(v, sw.meta.vectors[i].PageRows))
	}
	if err := sw.write([]byte(parquetMagic)); err != nil {
		return nil, err
	}
	return sw, nil
}

// WriteBlock writes one row group. Every block has RowGroupRows rows, except the last; a block of no rows is nothing.
// The block may be changed when WriteBlock returns.
func (w *Writer) WriteBlock(b *Block) error {
	if w.err != nil {
		return w.err
	}
	if err := b.check(w.schema); err != nil {
		return w.fail(err)
	}
	if b.Rows == 0 {
		return nil
	}
	if w.last {
		return w.fail(fmt.Errorf("a block follows one of fewer than %d rows", RowGroupRows))
	}
	if len(w.groups) == maxGroups {
		return w.fail(fmt.Errorf("%w: a shard holds at most %d row groups of %d rows: use smaller units", ErrSchema, maxGroups, RowGroupRows))
	}
	w.last = b.Rows < RowGroupRows
	return w.fail(w.writeGroup(b))
}

func (w *Writer) writeGroup(b *Block) error {
	g := group{rows: b.Rows, start: w.offset}
	pages, err := w.scalars.encode(b.Scalars, b.Rows, w.offset)
	if err != nil {
		return err
	}
	if err := w.write(pages); err != nil {
		return err
	}
	for i, values := range b.Vectors {
		c, err := w.writeVectors(i, values, b.Rows)
		if err != nil {
			return err
		}
		g.vectors = append(g.vectors, c)
		if err := w.addStats(i, b.Stats[i]); err != nil {
			return err
		}
	}
	w.rows += int64(b.Rows)
	w.groups = append(w.groups, g)
	return nil
}

// writeVectors writes the pages of one vector column.
func (w *Writer) writeVectors(col int, values []byte, rows int) (chunk, error) {
	l := w.layouts[col]
	pages := l.pages(rows)
	if n := gap(w.offset); n > 0 {
		if err := w.write(make([]byte, n)); err != nil {
			return chunk{}, err
		}
	}
	c := vectorChunk(w.schema.Vectors[col], pages, w.offset, l.chunkSize(rows), rows)
	for _, p := range pages {
		if err := w.write(p.prefix); err != nil {
			return c, err
		}
		if err := w.write(values[p.first*l.rowBytes : (p.first+p.rows)*l.rowBytes]); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (w *Writer) addStats(col int, s VectorStats) error {
	sum := &w.meta.vectors[col].VectorStats
	sum.Merge(s)
	if !finite(sum.SumSq) || !finite(sum.MaxAbs) || min(s.NonFinite, s.Overflow) < 0 || s.SumSq < 0 {
		return fmt.Errorf("statistics of column %q are impossible: %+v", w.schema.Vectors[col].Name, s)
	}
	return nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// Close writes the footer. It does not close the io.Writer. A shard of no rows is valid.
func (w *Writer) Close() (Footer, error) {
	if w.err != nil {
		return Footer{}, w.err
	}
	if err := w.writeFooter(); err != nil {
		return Footer{}, w.fail(err)
	}
	w.err = errWriterClosed
	f := Footer{Rows: w.rows, Groups: len(w.groups), Size: w.offset}
	for _, v := range w.meta.vectors {
		f.Stats = append(f.Stats, v.VectorStats)
	}
	return f, nil
}

func (w *Writer) write(b []byte) error {
	n, err := w.out.Write(b)
	w.offset += int64(n)
	if err != nil {
		return fmt.Errorf("write shard at byte %d: %w", w.offset, err)
	}
	return nil
}

// fail remembers the first error.
func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = err
	}
	return err
}

// pageRowsFor is the number of rows of every page but a chunk's last: a power of two, so that it divides RowGroupRows.
func pageRowsFor(rowBytes int) int {
	rows := RowGroupRows
	if rows*rowBytes <= onePage {
		return rows
	}
	for rows > 1 && rows*rowBytes > splitPage {
		rows /= 2
	}
	return rows
}
