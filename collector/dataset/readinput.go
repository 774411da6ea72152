package dataset

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// inputName stands for the path in errors about an input file.
const inputName = "input"

// ReadInput reads an input file of size bytes. A file that WriteInput would not
// have written is ErrFormat; what is held in memory is bounded by a small multiple
// of size, whatever the file claims.
func ReadInput(r io.ReaderAt, size int64) (*Input, error) {
	f, err := openParquet(r, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", inputName, err)
	}
	if v, _ := f.Lookup(formatKey); v != formatVersion {
		return nil, fmt.Errorf("%s: %w: not an input file of version %s (%s is %q)", inputName, ErrFormat, formatVersion, formatKey, v)
	}
	if f.NumRows() < 1 || f.NumRows() > size/8 { // a row takes at least its number
		return nil, fmt.Errorf("%s: %w: %d rows in %d bytes", inputName, ErrFormat, f.NumRows(), size)
	}
	leaves, err := leavesOf(f, inputIDs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", inputName, ErrFormat, err)
	}
	in := &inputReader{file: f, rows: int(f.NumRows()), budget: size}
	in.Digest, _ = f.Lookup(digestKey)
	if err := in.read(leaves); err != nil {
		return nil, err
	}
	return &in.Input, nil
}

// inputReader reads the columns of an input file.
type inputReader struct {
	Input
	file   *parquet.File
	rows   int
	budget int64 // bytes of ids and text that the file can still hold
}

// read goes through the columns in the order that WriteInput gives them.
func (in *inputReader) read(leaves []leaf) error {
	want := []leaf{{name: rowColumn, kind: integer}, {name: inputIDs, kind: integer, list: true}, {name: textColumn, kind: text}}
	if len(leaves) < len(want) {
		return fmt.Errorf("%s: %w: %d columns", inputName, ErrFormat, len(leaves))
	}
	for i, w := range want {
		if l := leaves[i]; l.name != w.name || l.kind != w.kind || l.list != w.list {
			return fmt.Errorf("%s: %w: column %q stands for %q", inputName, ErrFormat, l.name, w.name)
		}
	}
	if err := leaves[0].each(in.file, inputName, in.rows, in.number(leaves[0])); err != nil {
		return err
	}
	if err := leaves[1].each(in.file, inputName, in.rows, in.id(leaves[1])); err != nil {
		return err
	}
	if err := leaves[2].each(in.file, inputName, in.rows, in.prompt(leaves[2])); err != nil {
		return err
	}
	t := newTable()
	for _, l := range leaves[3:] {
		if err := in.column(t, l); err != nil {
			return err
		}
	}
	return nil
}

// number checks that the rows count from 0.
func (in *inputReader) number(l leaf) func(int, parquet.Value) error {
	return func(row int, v parquet.Value) error {
		if c, err := l.cell(v); err != nil || c.int != int64(row) {
			return fmt.Errorf("it says that it is row %d", c.int)
		}
		return nil
	}
}

// id takes one token id.
func (in *inputReader) id(l leaf) func(int, parquet.Value) error {
	return func(row int, v parquet.Value) error {
		if row == len(in.IDs) {
			in.IDs = append(in.IDs, nil)
		}
		if v.IsNull() {
			return nil
		}
		c, err := l.cell(v)
		if err != nil || c.int < 0 || c.int != int64(int32(c.int)) {
			return fmt.Errorf("%d is no token id", c.int)
		}
		in.IDs[row] = append(in.IDs[row], int32(c.int))
		return in.spend(4)
	}
}

func (in *inputReader) prompt(l leaf) func(int, parquet.Value) error {
	return func(_ int, v parquet.Value) error {
		c, err := l.cell(v)
		if err != nil {
			return err
		}
		in.Text = append(in.Text, c.text)
		return in.spend(len(c.text))
	}
}

func (in *inputReader) spend(bytes int) error {
	in.budget -= int64(bytes)
	if in.budget < 0 {
		return fmt.Errorf("more content than the file has bytes")
	}
	return nil
}

// column reads one of the data set's own columns.
func (in *inputReader) column(t *table, l leaf) error {
	b, err := t.builder(l.name)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", inputName, ErrFormat, err)
	}
	err = l.each(in.file, inputName, in.rows, func(_ int, v parquet.Value) error {
		if v.IsNull() {
			return fmt.Errorf("column %q: no value", l.name)
		}
		c, err := l.cell(v)
		if err != nil {
			return err
		}
		if err := in.spend(len(c.text)); err != nil {
			return err
		}
		return b.add(c)
	})
	in.Columns = append(in.Columns, b.column())
	return err
}
