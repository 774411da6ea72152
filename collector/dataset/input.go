package dataset

import (
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// An input file is Parquet with the columns row (int64, 0 to N−1), ids (list of
// int32), text, then the data set's own, all required, PLAIN and uncompressed,
// and the source's digest under digestKey. Its bytes are a function of the input.
const (
	rowColumn     = "row"
	inputIDs      = "ids"
	formatKey     = "actfleet.input"
	formatVersion = "1"
	digestKey     = "actfleet.data"
	rowsPerGroup  = 1 << 16
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

// WriteInput writes the input file. Equal inputs give equal bytes.
func WriteInput(w io.Writer, in *Input) error {
	if err := in.check(); err != nil {
		return fmt.Errorf("write input: %w", err)
	}
	pw := parquet.NewWriter(w, inputSchema(in.Columns), parquet.CreatedBy("actfleet", formatVersion, ""),
		parquet.KeyValueMetadata(formatKey, formatVersion), parquet.KeyValueMetadata(digestKey, in.Digest),
		parquet.MaxRowsPerRowGroup(rowsPerGroup))
	var row parquet.Row
	for i := range in.IDs {
		row = in.parquetRow(row[:0], i)
		if _, err := pw.WriteRows([]parquet.Row{row}); err != nil {
			return fmt.Errorf("write input: %w", err)
		}
	}
	if err := pw.Close(); err != nil {
		return fmt.Errorf("write input: %w", err)
	}
	return nil
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
		if err := checkName(c.Name); err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
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

// parquetRow appends row i as Parquet values.
func (in *Input) parquetRow(row parquet.Row, i int) parquet.Row {
	row = append(row, parquet.Int64Value(int64(i)).Level(0, 0, 0))
	for k, id := range in.IDs[i] {
		row = append(row, parquet.Int32Value(id).Level(min(k, 1), 1, 1))
	}
	if len(in.IDs[i]) == 0 {
		row = append(row, parquet.NullValue().Level(0, 0, 1))
	}
	row = append(row, parquet.ByteArrayValue([]byte(in.Text[i])).Level(0, 0, 2))
	for k, c := range in.Columns {
		row = append(row, c.value(i).Level(0, 0, 3+k))
	}
	return row
}

func (c Column) value(i int) parquet.Value {
	switch v := c.Values.(type) {
	case []int64:
		return parquet.Int64Value(v[i])
	case []float64:
		if math.IsNaN(v[i]) {
			return parquet.DoubleValue(math.NaN()) // one NaN of the many, for equal bytes
		}
		return parquet.DoubleValue(v[i])
	case []bool:
		return parquet.BooleanValue(v[i])
	}
	return parquet.ByteArrayValue([]byte(c.Values.([]string)[i]))
}
