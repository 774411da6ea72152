package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// openParquet opens a Parquet file after checking what the library takes on
// trust. It turns the library's panics over damaged metadata into errors.
func openParquet(r io.ReaderAt, size int64) (f *parquet.File, err error) {
	defer rescue(&err)
	var tail [8]byte
	if size < 12 {
		return nil, fmt.Errorf("%w: %d bytes are no Parquet file", ErrFormat, size)
	}
	if _, err := r.ReadAt(tail[:], size-8); err != nil {
		return nil, err
	}
	if n := int64(binary.LittleEndian.Uint32(tail[:])); n > size-12 {
		return nil, fmt.Errorf("%w: a Parquet footer of %d bytes in a file of %d", ErrFormat, n, size)
	}
	f, err = parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return f, nil
}

// rescue turns a panic of the library into an error.
func rescue(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: damaged Parquet file: %v", ErrFormat, p)
	}
}

// readParquet reads the columns of a source one after the other.
func readParquet(file *os.File, path string, limit int) (*table, error) {
	st, err := file.Stat()
	if err != nil {
		return nil, err
	}
	f, err := openParquet(file, st.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t := newTable()
	rows := int(f.NumRows())
	if limit > 0 {
		rows = min(rows, limit)
	}
	if err := t.parquetColumns(f, path, rows); err != nil {
		return nil, err
	}
	return t, nil
}

// parquetColumns reads the prompts first, so that every row is there when the
// other columns are filled.
func (t *table) parquetColumns(f *parquet.File, path string, rows int) error {
	leaves, err := leavesOf(f, idsColumn)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", path, ErrFormat, err)
	}
	prompts, err := readPrompts(f, leaves, path, rows)
	if err != nil {
		return err
	}
	for i := range prompts.n {
		t.begin()
		if prompts.has[i] {
			t.text[i], t.hasText = prompts.text[i], true
		}
		if ids := prompts.ids[i]; ids != nil {
			if err := t.setIDs(ids); err != nil {
				return fmt.Errorf("%s row %d: %w: %w", path, i, ErrFormat, err)
			}
		}
		if err := t.end(); err != nil {
			return fmt.Errorf("%s row %d: %w: %w", path, i, ErrFormat, err)
		}
	}
	for _, l := range leaves {
		if l.name == textColumn || l.name == idsColumn {
			continue
		}
		if err := t.parquetColumn(f, l, path, rows); err != nil {
			return err
		}
	}
	return nil
}

// parquetColumn reads one of the source's own columns.
func (t *table) parquetColumn(f *parquet.File, l leaf, path string, rows int) error {
	b, err := t.builder(l.name)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", path, ErrFormat, err)
	}
	return l.each(f, path, rows, func(row int, v parquet.Value) error {
		c, err := l.cell(v)
		if err != nil {
			return err
		}
		return b.add(c)
	})
}

// prompts are the text and ids of the rows.
type prompts struct {
	n    int
	text []string
	has  []bool // whether the row has a text
	ids  [][]int64
}

func readPrompts(f *parquet.File, leaves []leaf, path string, rows int) (*prompts, error) {
	p := &prompts{}
	for _, l := range leaves {
		var err error
		switch l.name {
		case textColumn:
			err = l.each(f, path, rows, p.addText(l))
		case idsColumn:
			err = l.each(f, path, rows, p.addID(l))
		}
		if err != nil {
			return nil, err
		}
	}
	if rows > 0 && p.n == 0 {
		return nil, fmt.Errorf("%s: %w: neither %s nor %s (its columns: %s)", path, ErrFormat, textColumn, idsColumn, leafNames(leaves))
	}
	return p, nil
}

// grow makes room for a row.
func (p *prompts) grow(row int) {
	for p.n <= row {
		p.text, p.has, p.ids = append(p.text, ""), append(p.has, false), append(p.ids, nil)
		p.n++
	}
}

func (p *prompts) addText(l leaf) func(int, parquet.Value) error {
	return func(row int, v parquet.Value) error {
		c, err := l.cell(v)
		if err != nil {
			return err
		}
		if c.kind != missing && c.kind != text {
			return fmt.Errorf("column %q holds %s, want text", textColumn, c.kind)
		}
		p.grow(row)
		p.text[row], p.has[row] = c.text, c.kind == text
		return nil
	}
}

// addID takes one id of a list. A null list is no list; an empty one is an empty
// prompt, which Tokenize refuses.
func (p *prompts) addID(l leaf) func(int, parquet.Value) error {
	return func(row int, v parquet.Value) error {
		p.grow(row)
		if v.IsNull() {
			if v.DefinitionLevel() == l.emptyLevel {
				p.ids[row] = []int64{}
			}
			if v.DefinitionLevel() > l.emptyLevel {
				return errors.New("a null among the ids")
			}
			return nil
		}
		c, err := l.cell(v)
		if err != nil {
			return err
		}
		if c.kind != integer {
			return fmt.Errorf("column %q holds %s, want whole numbers", idsColumn, c.kind)
		}
		p.ids[row] = append(p.ids[row], c.int)
		return nil
	}
}

func leafNames(leaves []leaf) string {
	var names []string
	for _, l := range leaves {
		names = append(names, l.name)
	}
	return strings.Join(names, ", ")
}

// isSigned tells int64 from uint64; columns without the annotation are signed.
func isSigned(t *format.LogicalType) bool {
	if t == nil {
		return true
	}
	i, ok := t.Value.(*format.IntType)
	return !ok || i.IsSigned
}
