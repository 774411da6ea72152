package arrow

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"actfleet/internal/mapped"
	"actfleet/shard"
)

func (c column) arrowType() arrow.DataType {
	if !c.scalar {
		return arrow.FixedSizeListOfNonNullable(int32(c.vector.Width), elementType(c.vector.Dtype))
	}
	return map[shard.Type]arrow.DataType{
		shard.Int64: arrow.PrimitiveTypes.Int64, shard.Int32: arrow.PrimitiveTypes.Int32,
		shard.Float32: arrow.PrimitiveTypes.Float32, shard.Float64: arrow.PrimitiveTypes.Float64,
		shard.Bool: arrow.FixedWidthTypes.Boolean, shard.String: arrow.BinaryTypes.String,
	}[c.typ]
}

func elementType(d shard.Dtype) arrow.DataType {
	switch d {
	case shard.F32:
		return arrow.PrimitiveTypes.Float32
	case shard.I32:
		return arrow.PrimitiveTypes.Int32
	}
	return arrow.FixedWidthTypes.Float16
}

// column makes the array of column i of a row group. It is valid until the next row group.
func (s *stream) column(r *shard.Reader, g, i int) (arrow.Array, error) {
	c := s.columns[i]
	if !c.scalar {
		return s.vectors(r, g, i)
	}
	values, err := r.Scalars(g, c.stored)
	if err != nil {
		return nil, err
	}
	return scalarArray(values[0])
}

// vectors wraps the bytes of a row group as they lie in the shard, widened if the stream is wider.
func (s *stream) vectors(r *shard.Reader, g, i int) (arrow.Array, error) {
	c := s.columns[i]
	col, ok := r.VectorIndex(c.stored)
	if !ok {
		return nil, fmt.Errorf("%w: no vector column %q", shard.ErrSchema, c.stored)
	}
	v, rows := r.Schema().Vectors[col], r.GroupRows(g)
	s.bufs[i] = slices.Grow(s.bufs[i][:0], rows*v.RowBytes())
	values, err := r.Vector(g, col, s.bufs[i])
	if err != nil {
		return nil, err
	}
	if !r.Mapped() {
		s.bufs[i] = values // which is s.bufs[i], perhaps grown
	}
	if err := mapped.Touch(values); err != nil {
		return nil, err
	}
	if v.Dtype != c.vector.Dtype {
		s.wide[i] = widen(s.wide[i], values, rows*v.Width)
		values = s.wide[i]
	}
	element := array.NewData(elementType(c.vector.Dtype), rows*v.Width, []*memory.Buffer{nil, memory.NewBufferBytes(values)}, nil, 0, 0)
	defer element.Release()
	list := array.NewData(c.arrowType(), rows, []*memory.Buffer{nil}, []arrow.ArrayData{element}, 0, 0)
	defer list.Release()
	return array.MakeFromData(list), nil
}

// widen turns n values of float16 into float32, little-endian, in dst.
func widen(dst, src []byte, n int) []byte {
	dst = slices.Grow(dst[:0], 4*n)[:4*n]
	var part [256]float32
	for at := 0; at < n; at += len(part) {
		some := part[:min(len(part), n-at)]
		shard.UnpackF16(some, src[2*at:])
		for k, x := range some {
			binary.LittleEndian.PutUint32(dst[4*(at+k):], math.Float32bits(x))
		}
	}
	return dst
}

func scalarArray(values any) (arrow.Array, error) {
	switch v := values.(type) {
	case []int64:
		return built(array.NewInt64Builder(memory.DefaultAllocator), v)
	case []int32:
		return built(array.NewInt32Builder(memory.DefaultAllocator), v)
	case []float32:
		return built(array.NewFloat32Builder(memory.DefaultAllocator), v)
	case []float64:
		return built(array.NewFloat64Builder(memory.DefaultAllocator), v)
	case []bool:
		return built(array.NewBooleanBuilder(memory.DefaultAllocator), v)
	case []string:
		return built(array.NewStringBuilder(memory.DefaultAllocator), v)
	}
	return nil, fmt.Errorf("%w: a column of %T", shard.ErrSchema, values)
}

// builder is what all of Arrow's builders have.
type builder[T any] interface {
	AppendValues(values []T, valid []bool)
	NewArray() arrow.Array
	Release()
}

func built[T any](b builder[T], values []T) (arrow.Array, error) {
	defer b.Release()
	b.AppendValues(values, nil)
	return b.NewArray(), nil
}
