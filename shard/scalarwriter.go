package shard

import (
	"bytes"
	"fmt"
	"unsafe"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// scalarWriter encodes the scalar columns by writing a Parquet file of their own into memory, row group by row group.
// The pages are copied into the shard as they come; the metadata is copied at the end, with the offsets shifted. (One
// small file per row group would need parquet-go's Writer.Reset, which in v0.32.0 loses the columns' paths.)
type scalarWriter struct {
	scalars []Scalar
	leaf    []int // position in that file, which sorts its columns by name
	buf     bytes.Buffer
	file    *parquet.GenericWriter[any]
	offset  int64   // in that file
	shifts  []int64 // per row group: from that file to the shard
	values  []parquet.Value
}

// chunk is what the footer says of one column of one row group.
type chunk struct {
	meta        format.ColumnMetaData
	columnIndex *format.ColumnIndex // nil for vectors
	offsetIndex format.OffsetIndex
}

func newScalarWriter(scalars []Scalar) *scalarWriter {
	w := &scalarWriter{scalars: scalars, leaf: make([]int, len(scalars))}
	group := parquet.Group{}
	for _, c := range scalars {
		group[c.Name] = scalarNode(c.Type)
	}
	schema := parquet.NewSchema("schema", group)
	for i, c := range scalars {
		column, _ := schema.Lookup(c.Name)
		w.leaf[i] = column.ColumnIndex
	}
	w.file = parquet.NewGenericWriter[any](&w.buf, schema, parquet.DataPageVersion(2), parquet.DataPageStatistics(true), parquet.WriteBufferSize(0))
	return w
}

// scalarNode says how a column is stored: snappy, whose greatest ratio bounds what a hostile file can unpack to; a
// dictionary for strings, which repeat.
func scalarNode(t Type) parquet.Node {
	var node parquet.Node
	var enc encoding.Encoding = &parquet.Plain
	switch t {
	case Int64:
		node = parquet.Leaf(parquet.Int64Type)
	case Int32:
		node = parquet.Leaf(parquet.Int32Type)
	case Float32:
		node = parquet.Leaf(parquet.FloatType)
	case Float64:
		node = parquet.Leaf(parquet.DoubleType)
	case Bool:
		node = parquet.Leaf(parquet.BooleanType)
	default:
		node, enc = parquet.String(), &parquet.RLEDictionary
	}
	return parquet.Required(parquet.Compressed(parquet.Encoded(node, enc), &parquet.Snappy))
}

// encode returns the pages of the first rows of the columns, which the caller puts at offset at of the shard. The bytes
// are valid until the next call.
func (w *scalarWriter) encode(columns []any, rows int, at int64) ([]byte, error) {
	w.buf.Reset()
	writers := w.file.ColumnWriters()
	for i, column := range columns {
		w.values = boxed(w.values[:0], column, rows)
		if _, err := writers[w.leaf[i]].WriteRowValues(w.values); err != nil {
			return nil, fmt.Errorf("encode column %q: %w", w.scalars[i].Name, err)
		}
	}
	if err := w.file.Flush(); err != nil {
		return nil, fmt.Errorf("encode scalar columns: %w", err)
	}
	pages := w.buf.Bytes()
	if w.offset == 0 {
		w.offset = int64(len(parquetMagic))
		pages = pages[len(parquetMagic):]
	}
	w.shifts = append(w.shifts, at-w.offset)
	w.offset += int64(len(pages))
	return pages, nil
}

// finish returns the metadata of the columns of every row group.
func (w *scalarWriter) finish() ([][]chunk, error) {
	file, err := w.end()
	if err != nil {
		return nil, fmt.Errorf("encode scalar columns: %w", err)
	}
	groups := file.Metadata().RowGroups
	if len(groups) != len(w.shifts) {
		return nil, fmt.Errorf("encode scalar columns: %d row groups, expected %d", len(groups), len(w.shifts))
	}
	out := make([][]chunk, len(groups))
	for g, shift := range w.shifts {
		for i, leaf := range w.leaf {
			n := g*len(w.leaf) + leaf
			c := chunk{meta: groups[g].Columns[leaf].MetaData, columnIndex: &file.ColumnIndexes()[n], offsetIndex: file.OffsetIndexes()[n]}
			c.meta.PathInSchema = thrift.Slice[string]{w.scalars[i].Name}
			c.move(shift)
			out[g] = append(out[g], c)
		}
	}
	return out, nil
}

// end closes the file in memory and reads its metadata back, from the bytes after the last page.
func (w *scalarWriter) end() (*parquet.File, error) {
	w.buf.Reset()
	if err := w.file.Close(); err != nil {
		return nil, err
	}
	tail := fileTail{start: w.offset, data: w.buf.Bytes()}
	return parquet.OpenFile(tail, tail.start+int64(len(tail.data)), parquet.SkipMagicBytes(true), parquet.SkipBloomFilters(true))
}

// fileTail is a file of which only the bytes from start are there.
type fileTail struct {
	start int64
	data  []byte
}

func (t fileTail) ReadAt(b []byte, off int64) (int, error) {
	return bytes.NewReader(t.data).ReadAt(b, off-t.start)
}

// move shifts every offset in the chunk.
func (c *chunk) move(by int64) {
	c.meta.DataPageOffset += by
	if c.meta.DictionaryPageOffset != 0 {
		c.meta.DictionaryPageOffset += by
	}
	c.meta.Statistics = shortBounds(c.meta.Statistics)
	pages := make(thrift.Slice[format.PageLocation], len(c.offsetIndex.PageLocations))
	for i, p := range c.offsetIndex.PageLocations {
		p.Offset += by
		pages[i] = p
	}
	c.offsetIndex.PageLocations = pages
}

// maxBound is the longest minimum or maximum that the footer repeats per row group.
const maxBound = 64

// shortBounds drops bounds that would fill the footer with prompts.
func shortBounds(s format.Statistics) format.Statistics {
	if len(s.MinValue) > maxBound || len(s.MaxValue) > maxBound {
		s.Min, s.Max, s.MinValue, s.MaxValue = nil, nil, nil, nil
	}
	return s
}

// boxed appends the first rows of a column as parquet values.
func boxed(values []parquet.Value, column any, rows int) []parquet.Value {
	switch c := column.(type) {
	case []int64:
		return box(values, c[:rows], parquet.Int64Value)
	case []int32:
		return box(values, c[:rows], parquet.Int32Value)
	case []float32:
		return box(values, c[:rows], parquet.FloatValue)
	case []float64:
		return box(values, c[:rows], parquet.DoubleValue)
	case []bool:
		return box(values, c[:rows], parquet.BooleanValue)
	case []string:
		return box(values, c[:rows], stringValue)
	}
	return values
}

// stringValue shares the string's memory: parquet-go copies it into its dictionary.
func stringValue(s string) parquet.Value {
	return parquet.ByteArrayValue(unsafe.Slice(unsafe.StringData(s), len(s)))
}

func box[T any](values []parquet.Value, column []T, value func(T) parquet.Value) []parquet.Value {
	for _, v := range column {
		values = append(values, value(v))
	}
	return values
}
