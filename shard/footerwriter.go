package shard

import (
	"encoding/binary"
	"fmt"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

var compact thrift.CompactProtocol

// writeFooter writes the page indexes, the footer, its length and the magic, in one piece.
func (w *Writer) writeFooter() error {
	tail := &fileEnd{at: w.offset}
	groups, err := w.indexes(tail)
	if err != nil {
		return err
	}
	_, length, err := tail.add(&format.FileMetaData{
		Version:          2,
		Schema:           schemaElements(w.schema),
		NumRows:          w.rows,
		RowGroups:        groups,
		KeyValueMetadata: w.meta.pairs(),
		CreatedBy:        createdBy,
		ColumnOrders:     columnOrders(len(w.schema.Scalars) + len(w.schema.Vectors)),
	})
	if err != nil {
		return fmt.Errorf("encode footer: %w", err)
	}
	if length > maxFooter {
		return fmt.Errorf("%w: footer of %d bytes, at most %d: use smaller units or fewer columns", ErrSchema, length, maxFooter)
	}
	return w.write(append(binary.LittleEndian.AppendUint32(tail.data, uint32(length)), parquetMagic...))
}

// fileEnd collects what comes after the pages.
type fileEnd struct {
	at   int64 // offset in the shard where data will lie
	data []byte
}

// add appends a Thrift structure and returns where it will lie.
func (e *fileEnd) add(v any) (offset int64, length int32, err error) {
	b, err := thrift.Marshal(&compact, v)
	offset = e.at + int64(len(e.data))
	e.data = append(e.data, b...)
	return offset, int32(len(b)), err
}

// indexes adds the column indexes of all chunks, then their offset indexes, and returns the row groups with the places
// of both.
func (w *Writer) indexes(tail *fileEnd) (thrift.Slice[format.RowGroup], error) {
	chunks, err := w.scalars.finish()
	if err != nil {
		return nil, err
	}
	groups := make(thrift.Slice[format.RowGroup], len(w.groups))
	for i, g := range w.groups {
		chunks[i] = append(chunks[i], g.vectors...)
		groups[i] = g.footer(i, chunks[i])
		for j, c := range groups[i].Columns[:len(w.schema.Scalars)] {
			if c.ColumnIndexOffset, c.ColumnIndexLength, err = tail.add(chunks[i][j].columnIndex); err != nil {
				return nil, fmt.Errorf("encode column index: %w", err)
			}
			groups[i].Columns[j] = c
		}
	}
	for i := range groups {
		for j := range groups[i].Columns {
			c := &groups[i].Columns[j]
			if c.OffsetIndexOffset, c.OffsetIndexLength, err = tail.add(&chunks[i][j].offsetIndex); err != nil {
				return nil, fmt.Errorf("encode offset index: %w", err)
			}
		}
	}
	return groups, nil
}

func (g group) footer(ordinal int, chunks []chunk) format.RowGroup {
	r := format.RowGroup{
		Columns:    make(thrift.Slice[format.ColumnChunk], len(chunks)),
		NumRows:    int64(g.rows),
		FileOffset: g.start,
		Ordinal:    int16(ordinal),
	}
	for i, c := range chunks {
		r.Columns[i] = format.ColumnChunk{MetaData: c.meta}
		r.TotalByteSize += c.meta.TotalUncompressedSize
		r.TotalCompressedSize += c.meta.TotalCompressedSize
	}
	return r
}

// vectorChunk describes one column of one row group.
func vectorChunk(v Vector, pages []page, at, size int64, rows int) chunk {
	c := chunk{meta: format.ColumnMetaData{
		Type:                  vectorType(v.Dtype),
		Encoding:              thrift.Slice[format.Encoding]{format.Plain, format.RLE},
		PathInSchema:          thrift.Slice[string]{v.Name, "list", "element"},
		Codec:                 format.Uncompressed,
		NumValues:             int64(rows) * int64(v.Width),
		TotalUncompressedSize: size,
		TotalCompressedSize:   size,
		DataPageOffset:        at,
	}}
	for i, p := range pages {
		end := size
		if i+1 < len(pages) {
			end = pages[i+1].offset
		}
		c.offsetIndex.PageLocations = append(c.offsetIndex.PageLocations, format.PageLocation{
			Offset: at + p.offset, CompressedPageSize: int32(end - p.offset), FirstRowIndex: int64(p.first),
		})
	}
	return c
}

func vectorType(d Dtype) format.Type {
	return [...]format.Type{F16: format.FixedLenByteArray, F32: format.Float, I32: format.Int32}[d]
}

// schemaElements is the schema tree, depth first: a required leaf per scalar, a standard three-level list per vector.
func schemaElements(s Schema) thrift.Slice[format.SchemaElement] {
	out := thrift.Slice[format.SchemaElement]{{Name: "schema", NumChildren: thrift.New(int32(len(s.Scalars) + len(s.Vectors)))}}
	for _, c := range s.Scalars {
		out = append(out, scalarElement(c))
	}
	for _, v := range s.Vectors {
		element := format.SchemaElement{Name: "element", Type: thrift.New(vectorType(v.Dtype)), RepetitionType: thrift.New(format.Required)}
		if v.Dtype == F16 {
			element.TypeLength = thrift.New(int32(2))
			element.LogicalType.Value = &format.Float16Type{}
		}
		list := format.SchemaElement{Name: v.Name, RepetitionType: thrift.New(format.Required), NumChildren: thrift.New(int32(1)),
			ConvertedType: thrift.New(deprecated.List)}
		list.LogicalType.Value = &format.ListType{}
		out = append(out, list,
			format.SchemaElement{Name: "list", RepetitionType: thrift.New(format.Repeated), NumChildren: thrift.New(int32(1))}, element)
	}
	return out
}

func scalarElement(c Scalar) format.SchemaElement {
	e := format.SchemaElement{Name: c.Name, Type: thrift.New(scalarTypes[c.Type]), RepetitionType: thrift.New(format.Required)}
	if c.Type == String {
		e.ConvertedType = thrift.New(deprecated.UTF8)
		e.LogicalType.Value = &format.StringType{}
	}
	return e
}

// scalarTypes is the Parquet type of each Type.
var scalarTypes = [...]format.Type{
	Int64: format.Int64, Int32: format.Int32, Float32: format.Float, Float64: format.Double, Bool: format.Boolean, String: format.ByteArray,
}

func columnOrders(n int) thrift.Slice[format.ColumnOrder] {
	orders := make(thrift.Slice[format.ColumnOrder], n)
	for i := range orders {
		orders[i].Value = &format.TypeDefinedOrder{}
	}
	return orders
}

// maxFooter bounds what a reader loads before it has checked anything: 5,000 column chunks take about 1 MB.
const maxFooter = 64 << 20
