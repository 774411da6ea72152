package dataset

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// leaf is one column of a Parquet file that is read.
type leaf struct {
	name       string
	index      int
	kind       kind
	parquet    parquet.Kind
	signed     bool
	list       bool
	emptyLevel int // definition level of an empty list
}

// leavesOf lists the columns: plain ones, and the one of name list as a list.
func leavesOf(f *parquet.File, list string) (out []leaf, err error) {
	defer rescue(&err)
	for _, path := range f.Schema().Columns() {
		col, ok := f.Schema().Lookup(path...)
		if !ok {
			return nil, fmt.Errorf("column %q cannot be found", strings.Join(path, "."))
		}
		l := leaf{name: path[0], index: col.ColumnIndex, list: col.MaxRepetitionLevel > 0}
		if l.list != (l.name == list) || col.MaxRepetitionLevel > 1 || !l.list && len(path) > 1 {
			return nil, fmt.Errorf("column %q is a list or a record; only single values are carried along, and %s as a list", strings.Join(path, "."), list)
		}
		l.emptyLevel = emptyLevel(col)
		if err := l.setType(col.Node.Type()); err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

// emptyLevel is the definition level of a list without elements: one less than
// that of an element that is there.
func emptyLevel(col parquet.LeafColumn) int {
	if col.Node.Optional() {
		return col.MaxDefinitionLevel - 2
	}
	return col.MaxDefinitionLevel - 1
}

// setType finds what the column's cells hold, or refuses it.
func (l *leaf) setType(t parquet.Type) error {
	l.parquet = t.Kind()
	logical := t.LogicalType()
	l.signed = isSigned(logical)
	var as any
	if logical != nil {
		as = logical.Value
	}
	switch as.(type) {
	case nil, *format.IntType, *format.StringType, *format.EnumType, *format.JsonType, *format.NullType:
	default:
		return fmt.Errorf("column %q has type %s; cast it to a number or to text", l.name, logical)
	}
	switch l.parquet {
	case parquet.Boolean:
		l.kind = boolean
	case parquet.Int32, parquet.Int64:
		l.kind = integer
	case parquet.Float, parquet.Double:
		l.kind = fraction
	case parquet.ByteArray:
		l.kind = text
	default:
		return fmt.Errorf("column %q has type %s; cast it to a number or to text", l.name, l.parquet)
	}
	return nil
}

// cell is a value as a cell; null is a missing one.
func (l *leaf) cell(v parquet.Value) (cell, error) {
	if v.IsNull() {
		return cell{}, nil
	}
	c := cell{kind: l.kind}
	switch l.parquet {
	case parquet.Boolean:
		c.bool = v.Boolean()
	case parquet.Int32:
		c.int = int64(v.Int32())
		if !l.signed {
			c.int = int64(uint32(v.Int32()))
		}
	case parquet.Int64:
		c.int = v.Int64()
		if !l.signed && c.int < 0 {
			return c, fmt.Errorf("column %q: %d is no int64", l.name, uint64(c.int))
		}
	case parquet.Float:
		c.float = float64(v.Float())
	case parquet.Double:
		c.float = v.Double()
	default:
		c.text = string(v.ByteArray())
		return c, checkUTF8(c.text)
	}
	return c, nil
}

// each calls take for every value of the first rows, in order. A file whose
// columns differ in length is an error.
func (l *leaf) each(f *parquet.File, path string, rows int, take func(row int, v parquet.Value) error) (err error) {
	defer func() {
		if err != nil && !errors.Is(err, ErrFormat) {
			err = fmt.Errorf("%s: %w: %w", path, ErrFormat, err)
		}
	}()
	defer rescue(&err)
	row := -1
	for _, g := range f.RowGroups() {
		if row+1 >= rows && !l.list {
			break
		}
		err := l.eachPage(g.ColumnChunks()[l.index].Pages(), func(v parquet.Value) error {
			if v.RepetitionLevel() == 0 {
				row++
			}
			if row < 0 {
				return errors.New("a list that does not begin")
			}
			if row >= rows {
				return errEnough
			}
			if err := take(row, v); err != nil {
				return fmt.Errorf("%s row %d: %w: %w", path, row, ErrFormat, err)
			}
			return nil
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	if row+1 != rows {
		return fmt.Errorf("column %q has %d rows of %d", l.name, row+1, rows)
	}
	return nil
}

// errEnough ends the reading of a column before its end.
var errEnough = errors.New("enough rows")

func (l *leaf) eachPage(pages parquet.Pages, take func(parquet.Value) error) (err error) {
	defer func() { err = errors.Join(err, pages.Close()) }()
	var buf [512]parquet.Value
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		err = eachValue(page.Values(), buf[:], take)
		parquet.Release(page)
		if err != nil {
			return err
		}
	}
}

func eachValue(values parquet.ValueReader, buf []parquet.Value, take func(parquet.Value) error) error {
	for {
		n, err := values.ReadValues(buf)
		for _, v := range buf[:n] {
			if err := take(v); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrNoProgress
		}
	}
}
