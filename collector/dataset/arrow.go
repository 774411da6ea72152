package dataset

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
)

// arrowReader gives the rows of an Arrow IPC file (feather) or stream (what the datasets library caches).
type arrowReader struct {
	memory boundedMemory
	batch  func() (arrow.Record, error) // the next one, io.EOF at the end
	record arrow.Record                 // being read; nil: none
	at     int                          // first row of record that was not given yet
	row    int
}

func newArrowFile(f *os.File) (r *arrowReader, err error) {
	defer rescueArrow(&err)
	size, err := checkArrowFile(f)
	if err != nil {
		return nil, err
	}
	memory := newBoundedMemory(func() int64 { return size })
	file, err := ipc.NewFileReader(f, ipc.WithAllocator(memory))
	if err != nil {
		return nil, arrowError(err)
	}
	next := 0
	return &arrowReader{memory: memory, batch: func() (arrow.Record, error) {
		if next == file.NumRecords() {
			return nil, io.EOF
		}
		next++
		return file.RecordAt(next - 1)
	}}, nil
}

func newArrowStream(in io.Reader) (r *arrowReader, err error) {
	defer rescueArrow(&err)
	messages := &arrowMessages{in: in}
	memory := newBoundedMemory(messages.read.Load)
	stream, err := ipc.NewReaderFromMessageReader(messages, ipc.WithAllocator(memory))
	if err != nil {
		return nil, arrowError(err)
	}
	return &arrowReader{memory: memory, batch: func() (arrow.Record, error) {
		rec, err := stream.Read()
		if err == nil {
			rec.Retain()
		}
		return rec, err
	}}, nil
}

func arrowError(err error) error {
	if errors.Is(err, arrow.ErrNotImplemented) || strings.Contains(err.Error(), "type not implemented") {
		return fmt.Errorf("%w: an Arrow type that is not read here (%s); write the file as Parquet", ErrFormat, brief(err.Error()))
	}
	return damagedArrow("%s", brief(err.Error()))
}

func damagedArrow(what string, args ...any) error {
	return fmt.Errorf("%w: damaged Arrow file: %s", ErrFormat, fmt.Sprintf(what, args...))
}

func rescueArrow(err *error) {
	if p := recover(); p != nil {
		*err = damagedArrow("%s", brief(fmt.Sprint(p)))
	}
}

func (r *arrowReader) next(most int) (c chunk, err error) {
	defer func() {
		if err != nil && err != io.EOF {
			err = &rowError{r.row, err}
		}
	}()
	defer rescueArrow(&err)
	for r.record == nil || r.at == int(r.record.NumRows()) {
		if r.record != nil {
			r.record.Release()
			r.record = nil
		}
		rec, err := r.batch()
		if errors.Is(err, io.EOF) {
			return chunk{}, io.EOF
		}
		if err != nil {
			return chunk{}, arrowError(err)
		}
		r.record, r.at = rec, 0
	}
	n := min(chunkRows, most, int(r.record.NumRows())-r.at)
	if n == 0 {
		return chunk{}, io.EOF
	}
	part, first := r.record.NewSlice(int64(r.at), int64(r.at+n)), r.row
	r.at, r.row = r.at+n, r.row+n
	return chunk{n, func() ([]row, error) { return arrowRows(part, first) }}, nil
}

// arrowRows takes a slice of a record batch apart.
func arrowRows(part arrow.Record, first int) (rows []row, err error) {
	at := first
	defer func() {
		if err != nil {
			err = &rowError{at, err}
		}
	}()
	defer rescueArrow(&err)
	defer part.Release()
	fields := part.Schema().Fields()
	rows = make([]row, part.NumRows())
	for i := range rows {
		at = first + i
		rows[i] = row{at, make([]named, len(fields))}
		for k, f := range fields {
			c, err := arrowCell(part.Column(k), i)
			if err != nil {
				return nil, inColumn(f.Name, err)
			}
			rows[i].cells[k] = named{f.Name, c}
		}
	}
	return rows, nil
}

// arrowCell is value i of an array.
func arrowCell(a arrow.Array, i int) (cell, error) {
	if a.IsNull(i) {
		return cell{}, nil
	}
	switch a := a.(type) {
	case *array.Dictionary:
		return arrowCell(a.Dictionary(), a.GetValueIndex(i))
	case array.ExtensionArray:
		return arrowCell(a.Storage(), i)
	case *array.Boolean:
		return cell{kind: boolean, bool: a.Value(i)}, nil
	case *array.Null:
		return cell{}, nil
	case array.ListLike:
		return arrowList(a, i)
	case *array.Struct:
		return cell{kind: nested, what: "a record", pairs: arrowSpans(a, i, i+1)}, nil
	}
	if c, ok, err := arrowText(a, i); ok || err != nil {
		return c, err
	}
	if c, ok := arrowNumber(a, i); ok {
		return c, nil
	}
	if c, ok := arrowTime(a, i); ok {
		return c, nil
	}
	return cell{kind: nested, what: a.DataType().Name()}, nil
}

// arrowList is a list of whole numbers, a conversation, or a list that is not read.
func arrowList(a array.ListLike, i int) (cell, error) {
	out := cell{kind: nested, what: "a list"}
	from, to := a.ValueOffsets(i)
	values := a.ListValues()
	switch s := values.(type) {
	case *array.Struct:
		out.chat, out.pairs = arrowChat(s, int(from), int(to)), arrowSpans(s, int(from), int(to))
		return out, nil
	case array.ListLike:
		out.pairs = arrowPairs(s, int(from), int(to))
		return out, nil
	}
	switch values.DataType().ID() {
	case arrow.BOOL, arrow.INT8, arrow.INT16, arrow.INT32, arrow.INT64, arrow.UINT8, arrow.UINT16, arrow.UINT32, arrow.UINT64:
	default:
		return out, nil
	}
	out.ints = make([]int64, 0, to-from)
	for k := int(from); k < int(to); k++ {
		c, err := arrowCell(values, k)
		if err != nil {
			return cell{}, err
		}
		if c.kind == missing || c.kind == digits {
			return cell{}, errors.New("a list with a null or too large a number in it")
		}
		if c.bool {
			c.int = 1
		}
		out.ints = append(out.ints, c.int)
	}
	return out, nil
}

// arrowChat is a list of messages; nil where the records are none.
func arrowChat(s *array.Struct, from, to int) *talk {
	t := s.DataType().(*arrow.StructType)
	for _, names := range messageFields {
		role, ok := t.FieldIdx(names[0])
		content, ok2 := t.FieldIdx(names[1])
		if !ok || !ok2 {
			continue
		}
		out := &talk{}
		for k := from; k < to; k++ {
			r, ok, err := arrowText(s.Field(role), k)
			c, ok2, err2 := arrowText(s.Field(content), k)
			if !ok || !ok2 || err != nil || err2 != nil {
				return nil
			}
			out.add(there(r), there(c))
			for i := range t.NumFields() {
				if i != role && i != content && !arrowNothing(s.Field(i), k) {
					out.more = append(out.more, extra{k - from, t.Field(i).Name})
				}
			}
		}
		return out
	}
	return nil
}

// there is the text of a cell; nil where it is missing.
func there(c cell) *string {
	if c.kind == missing {
		return nil
	}
	return &c.text
}

// arrowNothing says whether value i is null or empty.
func arrowNothing(a arrow.Array, i int) bool {
	if a.IsNull(i) {
		return true
	}
	switch a := a.(type) {
	case array.ListLike:
		from, to := a.ValueOffsets(i)
		return from == to
	case *array.Struct:
		for f := range a.NumField() {
			if !arrowNothing(a.Field(f), i) {
				return false
			}
		}
		return true
	}
	c, ok, err := arrowText(a, i)
	return ok && err == nil && c.kind == text && c.text == ""
}

// arrowSpans is records of start and end; nil where they are none.
func arrowSpans(s *array.Struct, from, to int) [][2]int64 {
	t := s.DataType().(*arrow.StructType)
	start, ok := t.FieldIdx("start")
	end, ok2 := t.FieldIdx("end")
	if !ok || !ok2 {
		return nil
	}
	out := make([][2]int64, 0, to-from)
	for k := from; k < to; k++ {
		var pair [2]int64
		for i, field := range [2]int{start, end} {
			c, _ := arrowNumber(s.Field(field), k)
			if s.IsNull(k) || s.Field(field).IsNull(k) || c.kind != integer {
				return nil
			}
			pair[i] = c.int
		}
		out = append(out, pair)
	}
	return out
}

// arrowPairs is lists of two whole numbers; nil where they are others.
func arrowPairs(a array.ListLike, from, to int) [][2]int64 {
	out := make([][2]int64, 0, to-from)
	for k := from; k < to; k++ {
		lo, hi := a.ValueOffsets(k)
		if a.IsNull(k) || hi-lo != 2 {
			return nil
		}
		var pair [2]int64
		for i := range pair {
			c, _ := arrowNumber(a.ListValues(), int(lo)+i)
			if a.ListValues().IsNull(int(lo)+i) || c.kind != integer {
				return nil
			}
			pair[i] = c.int
		}
		out = append(out, pair)
	}
	return out
}
