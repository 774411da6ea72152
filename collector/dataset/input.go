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
}

// Input is prompts in memory, all of a data set or a run of them. IDs[i], Text[i] and every column's value i belong
// to prompt First+i.
type Input struct {
	First   int
	Digest  string // see Head
	IDs     [][]int32
	Text    []string // as tokenised, template applied; "" where the source gave ids only
	Columns []Column // the data set's own columns, in the source's order
}

// NumRows is the number of prompts.
func (in *Input) NumRows() int { return len(in.IDs) }

// Head is the input without its prompts.
func (in *Input) Head() Head {
	h := Head{Digest: in.Digest}
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

// Rows is the prompts lo ≤ row < hi; it shares the memory of in. The error is always nil.
func (in *Input) Rows(lo, hi int) (*Input, error) {
	out := &Input{First: lo, Digest: in.Digest, IDs: in.IDs[lo-in.First : hi-in.First]}
	if in.Text != nil {
		out.Text = in.Text[lo-in.First : hi-in.First]
	}
	for _, c := range in.Columns {
		out.Columns = append(out.Columns, c.slice(lo-in.First, hi-in.First))
	}
	return out, nil
}

// An input file is Parquet with the columns row (int64, 0 to N−1), ids (list of int32), text, then the data set's
// own, all required, PLAIN and uncompressed, and the source's digest under digestKey. A row group ends after
// rowsPerGroup rows, or when their ids and texts fill groupBytes. Its bytes are a function of the input.
const (
	rowColumn     = "row"
	inputIDs      = "ids"
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

func inputSchema(columns []Column) *parquet.Schema {
	o := ordered{Group: parquet.Group{}}
	o.add(rowColumn, leafNode(Int64))
	o.add(inputIDs, parquet.List(plain(parquet.Int(32))))
	o.add(textColumn, leafNode(String))
	for _, c := range columns {
		o.add(c.Name, leafNode(c.Type))
	}
	return parquet.NewSchema("input", o)
}

// inputWriter writes an input file, a row at a time.
type inputWriter struct {
	w     *parquet.GenericWriter[any]
	rows  int
	group int // bytes of ids and text in the row group
	row   parquet.Row
}

func newInputWriter(w io.Writer, digest string, columns []Column) (*inputWriter, error) {
	for _, c := range columns {
		if err := checkName(c.Name); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
	}
	return &inputWriter{w: parquet.NewGenericWriter[any](w, inputSchema(columns), parquet.CreatedBy("actfleet", formatVersion, ""),
		parquet.KeyValueMetadata(formatKey, formatVersion), parquet.KeyValueMetadata(digestKey, digest),
		parquet.MaxRowsPerRowGroup(rowsPerGroup))}, nil
}

// write appends a row: values has one of the right type for each column.
func (w *inputWriter) write(ids []int32, text string, values []any) error {
	row := append(w.row[:0], parquet.Int64Value(int64(w.rows)).Level(0, 0, 0))
	for k, id := range ids {
		row = append(row, parquet.Int32Value(id).Level(min(k, 1), 1, 1))
	}
	if len(ids) == 0 {
		row = append(row, parquet.NullValue().Level(0, 0, 1))
	}
	row = append(row, parquet.ByteArrayValue([]byte(text)).Level(0, 0, 2))
	for k, v := range values {
		row = append(row, parquetValue(v).Level(0, 0, 3+k))
	}
	w.row = row
	size := 4*len(ids) + len(text)
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
	out, err := newInputWriter(w, in.Digest, in.Columns)
	if err != nil {
		return fmt.Errorf("write input: %w", err)
	}
	values := make([]any, len(in.Columns))
	for i := range in.IDs {
		for k, c := range in.Columns {
			values[k] = c.at(i)
		}
		if err := out.write(in.IDs[i], in.Text[i], values); err != nil {
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
