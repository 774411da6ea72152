package dataset

import (
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// Head is what an input says of itself.
type Head struct {
	Digest  string   // hex SHA-256 of the source, see Source.Digest
	Columns []Column // the data set's own columns, in the source's order, without values
	Kept    bool     // prompts say which of their positions become rows
	Offsets bool     // and which code points of the text their tokens stand for
}

// Input is prompts in memory, all of a data set or a run of them. IDs[i], Text[i] and every column's value i belong
// to prompt First+i.
type Input struct {
	First   int
	Digest  string // see Head
	IDs     [][]int32
	Text    []string // as tokenised, template applied; "" where the source gave ids only
	Columns []Column // the data set's own columns, in the source's order
	// Kept are the positions of each prompt that become rows, ascending; nil where the token rule says so by itself.
	Kept [][]int32
	// Starts and Ends are the code points of the document's text that each token stands for, see Encoder; nil: not wanted.
	Starts, Ends [][]int32
}

// NumRows is the number of prompts.
func (in *Input) NumRows() int { return len(in.IDs) }

// Column is the data set's column of that name; false if there is none.
func (in *Input) Column(name string) (Column, bool) {
	for _, c := range in.Columns {
		if c.Name == name {
			return c, true
		}
	}
	return Column{}, false
}

// Head is the input without its prompts.
func (in *Input) Head() Head {
	h := Head{Digest: in.Digest, Kept: in.Kept != nil, Offsets: in.Starts != nil}
	for _, c := range in.Columns {
		h.Columns = append(h.Columns, Column{Name: c.Name, Type: c.Type})
	}
	return h
}

// Lengths is the number of tokens of each prompt.
func (in *Input) Lengths() []int32 {
	lengths := make([]int32, len(in.IDs))
	for i, ids := range in.IDs {
		lengths[i] = int32(len(ids))
	}
	return lengths
}

// KeptCounts is how many positions of each prompt become rows; nil where the prompts do not say.
func (in *Input) KeptCounts() []int32 {
	if in.Kept == nil {
		return nil
	}
	counts := make([]int32, len(in.Kept))
	for i, kept := range in.Kept {
		counts[i] = int32(len(kept))
	}
	return counts
}

// Rows is the prompts lo ≤ row < hi; it shares the memory of in. The error is always nil.
func (in *Input) Rows(lo, hi int) (*Input, error) {
	out := &Input{First: lo, Digest: in.Digest, IDs: in.IDs[lo-in.First : hi-in.First]}
	if in.Text != nil {
		out.Text = in.Text[lo-in.First : hi-in.First]
	}
	for _, c := range in.Columns {
		out.Columns = append(out.Columns, c.slice(lo-in.First, hi-in.First))
	}
	if in.Kept != nil {
		out.Kept = in.Kept[lo-in.First : hi-in.First]
	}
	if in.Starts != nil {
		out.Starts, out.Ends = in.Starts[lo-in.First:hi-in.First], in.Ends[lo-in.First:hi-in.First]
	}
	return out, nil
}

// An input file is Parquet with the columns row (int64, 0 to N−1), ids (list of int32), text, then the data set's
// own, then as lists of int32 what the plan asks for (__kept; __start and __end), all required, PLAIN and uncompressed,
// and the source's digest under digestKey. A row group ends after
// rowsPerGroup rows, or when their ids and texts fill groupBytes. Its bytes are a function of the input.
const (
	rowColumn     = "row"
	inputIDs      = "ids"
	inputKept     = "__kept"
	inputStart    = "__start"
	inputEnd      = "__end"
	formatKey     = "actfleet.input"
	formatVersion = "1"
	digestKey     = "actfleet.data"
	rowsPerGroup  = 1 << 16
	groupBytes    = 64 << 20
)

// ordered is a group of columns in the order given, where parquet.Group has them
// by name.
type ordered struct {
	parquet.Group
	names []string
}

// Fields lists the columns in their order.
func (o ordered) Fields() []parquet.Field {
	fields := o.Group.Fields()
	slices.SortFunc(fields, func(a, b parquet.Field) int {
		return slices.Index(o.names, a.Name()) - slices.Index(o.names, b.Name())
	})
	return fields
}

func (o *ordered) add(name string, n parquet.Node) {
	o.names = append(o.names, name)
	o.Group[name] = n
}

func plain(n parquet.Node) parquet.Node { return parquet.Encoded(n, &parquet.Plain) }

// leafNode is the Parquet column of a type.
func leafNode(t Type) parquet.Node {
	switch t {
	case Int64:
		return plain(parquet.Int(64))
	case Float64:
		return plain(parquet.Leaf(parquet.DoubleType))
	case Bool:
		return plain(parquet.Leaf(parquet.BooleanType))
	}
	return plain(parquet.String())
}

// lists are the columns behind the data set's own.
func (h Head) lists() (names []string) {
	if h.Kept {
		names = append(names, inputKept)
	}
	if h.Offsets {
		names = append(names, inputStart, inputEnd)
	}
	return names
}

func inputSchema(h Head) *parquet.Schema {
	o := ordered{Group: parquet.Group{}}
	o.add(rowColumn, leafNode(Int64))
	o.add(inputIDs, parquet.List(plain(parquet.Int(32))))
	o.add(textColumn, leafNode(String))
	for _, c := range h.Columns {
		o.add(c.Name, leafNode(c.Type))
	}
	for _, name := range h.lists() {
		o.add(name, parquet.List(plain(parquet.Int(32))))
	}
	return parquet.NewSchema("input", o)
}

// prompt is a row of an input file: values has one of the right type for each of the data set's own columns.
type prompt struct {
	ids                []int32
	text               string
	kept, starts, ends []int32 // written where the Head says so
	values             []any
}

// inputWriter writes an input file, a row at a time.
type inputWriter struct {
	w     *parquet.GenericWriter[any]
	head  Head
	rows  int
	group int // bytes of ids and text in the row group
	row   parquet.Row
}

func newInputWriter(w io.Writer, h Head) (*inputWriter, error) {
	for _, c := range h.Columns {
		if err := checkName(c.Name); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
	}
	return &inputWriter{head: h, w: parquet.NewGenericWriter[any](w, inputSchema(h), parquet.CreatedBy("actfleet", formatVersion, ""),
		parquet.KeyValueMetadata(formatKey, formatVersion), parquet.KeyValueMetadata(digestKey, h.Digest),
		parquet.MaxRowsPerRowGroup(rowsPerGroup))}, nil
}

// write appends a row.
func (w *inputWriter) write(p prompt) error {
	row := append(w.row[:0], parquet.Int64Value(int64(w.rows)).Level(0, 0, 0))
	row = appendList(row, p.ids, 1)
	row = append(row, parquet.ByteArrayValue([]byte(p.text)).Level(0, 0, 2))
	for k, v := range p.values {
		row = append(row, parquetValue(v).Level(0, 0, 3+k))
	}
	size, column := 4*len(p.ids)+len(p.text), 3+len(p.values)
	if w.head.Kept {
		row = appendList(row, p.kept, column)
		size, column = size+4*len(p.kept), column+1
	}
	if w.head.Offsets {
		row = appendList(appendList(row, p.starts, column), p.ends, column+1)
		size += 8 * len(p.starts)
	}
	w.row = row
	if w.group > 0 && w.group+size > groupBytes {
		if err := w.w.Flush(); err != nil {
			return fmt.Errorf("write input: %w", err)
		}
		w.group = 0
	}
	w.group += size
	w.rows++
	if w.rows%rowsPerGroup == 0 {
		w.group = 0
	}
	if _, err := w.w.WriteRows([]parquet.Row{row}); err != nil {
		return fmt.Errorf("write input: %w", err)
	}
	return nil
}

// appendList appends a list to a row.
func appendList(row parquet.Row, list []int32, column int) parquet.Row {
	for k, v := range list {
		row = append(row, parquet.Int32Value(v).Level(min(k, 1), 1, column))
	}
	if len(list) == 0 {
		row = append(row, parquet.NullValue().Level(0, 0, column))
	}
	return row
}

func (w *inputWriter) close() error {
	if err := w.w.Close(); err != nil {
		return fmt.Errorf("write input: %w", err)
	}
	return nil
}

func parquetValue(v any) parquet.Value {
	switch v := v.(type) {
	case int64:
		return parquet.Int64Value(v)
	case float64:
		if math.IsNaN(v) {
			return parquet.DoubleValue(math.NaN()) // one NaN of the many, for equal bytes
		}
		return parquet.DoubleValue(v)
	case bool:
		return parquet.BooleanValue(v)
	}
	return parquet.ByteArrayValue([]byte(v.(string)))
}

// WriteInput writes the input file of prompts in memory. Equal inputs give equal bytes.
func WriteInput(w io.Writer, in *Input) error {
	if err := in.check(); err != nil {
		return fmt.Errorf("write input: %w", err)
	}
	out, err := newInputWriter(w, in.Head())
	if err != nil {
		return fmt.Errorf("write input: %w", err)
	}
	values := make([]any, len(in.Columns))
	for i := range in.IDs {
		for k, c := range in.Columns {
			values[k] = c.At(i)
		}
		p := prompt{ids: in.IDs[i], text: in.Text[i], values: values}
		if in.Kept != nil {
			p.kept = in.Kept[i]
		}
		if in.Starts != nil {
			p.starts, p.ends = in.Starts[i], in.Ends[i]
		}
		if err := out.write(p); err != nil {
			return err
		}
	}
	return out.close()
}

// check makes sure that an input made by hand can be written.
func (in *Input) check() error {
	if len(in.IDs) == 0 {
		return ErrEmpty
	}
	if len(in.Text) != len(in.IDs) {
		return fmt.Errorf("%w: %d texts for %d rows", ErrFormat, len(in.Text), len(in.IDs))
	}
	for _, c := range in.Columns {
		if n := c.length(); n != len(in.IDs) {
			return fmt.Errorf("%w: column %q of type %s has %d values for %d rows", ErrFormat, c.Name, c.Type, n, len(in.IDs))
		}
	}
	return in.checkLists()
}

// checkLists makes sure that kept positions are ascending ones of their prompt, and that every token has an offset.
func (in *Input) checkLists() error {
	if in.Kept != nil && len(in.Kept) != len(in.IDs) || len(in.Starts) != len(in.Ends) || in.Starts != nil && len(in.Starts) != len(in.IDs) {
		return fmt.Errorf("%w: not every one of %d prompts has kept positions and offsets", ErrFormat, len(in.IDs))
	}
	for i, ids := range in.IDs {
		if in.Kept != nil {
			for k, pos := range in.Kept[i] {
				if pos < 0 || int(pos) >= len(ids) || k > 0 && pos <= in.Kept[i][k-1] {
					return fmt.Errorf("%w: row %d: kept position %d of %d tokens", ErrFormat, in.First+i, pos, len(ids))
				}
			}
		}
		if in.Starts == nil {
			continue
		}
		if len(in.Starts[i]) != len(ids) || len(in.Ends[i]) != len(ids) {
			return fmt.Errorf("%w: row %d: %d offsets of %d tokens", ErrFormat, in.First+i, len(in.Starts[i]), len(ids))
		}
		for k, start := range in.Starts[i] {
			if start < 0 || in.Ends[i][k] < start {
				return fmt.Errorf("%w: row %d: token %d stands for %d to %d", ErrFormat, in.First+i, k, start, in.Ends[i][k])
			}
		}
	}
	return nil
}

// length is the number of values, -1 when they are not of the column's type.
func (c Column) length() int {
	switch v := c.Values.(type) {
	case []int64:
		if c.Type == Int64 {
			return len(v)
		}
	case []float64:
		if c.Type == Float64 {
			return len(v)
		}
	case []bool:
		if c.Type == Bool {
			return len(v)
		}
	case []string:
		if c.Type == String {
			return len(v)
		}
	}
	return -1
}

// slice is the values of rows lo ≤ row < hi.
func (c Column) slice(lo, hi int) Column {
	switch values := c.Values.(type) {
	case []int64:
		c.Values = values[lo:hi:hi]
	case []float64:
		c.Values = values[lo:hi:hi]
	case []bool:
		c.Values = values[lo:hi:hi]
	case []string:
		c.Values = values[lo:hi:hi]
	}
	return c
}
