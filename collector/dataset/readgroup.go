package dataset

import (
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go"
)

// group reads a row group, or has it still.
func (f *File) group(n int) (*group, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.recent {
		if g.number == n {
			return g, nil
		}
	}
	g := &group{number: n, Input: Input{First: f.starts[n], Digest: f.head.Digest}}
	if err := f.load(g); err != nil {
		if !errors.Is(err, ErrFormat) {
			err = fmt.Errorf("%w: %w", ErrFormat, err)
		}
		return nil, err
	}
	f.recent = append([]*group{g}, f.recent[:min(len(f.recent), recentGroups-1)]...)
	return g, nil
}

// load reads all columns of a row group.
func (f *File) load(g *group) (err error) {
	defer rescue(&err)
	from := f.file.RowGroups()[g.number]
	lengths := f.lengths[f.starts[g.number]:f.starts[g.number+1]]
	budget := f.size
	spend := func(bytes int) error {
		if budget -= int64(bytes); budget < 0 {
			return errMoreContent
		}
		return nil
	}
	g.IDs = make([][]int32, len(lengths))
	for i, n := range lengths {
		g.IDs[i] = make([]int32, 0, n)
	}
	if err := f.column(from, 1, func(row int, v parquet.Value) error {
		if v.IsNull() {
			return nil
		}
		c, err := f.leaves[1].plain(v)
		if err != nil || c.int < 0 || c.int != int64(int32(c.int)) {
			return fmt.Errorf("%d is no token id", c.int)
		}
		g.IDs[row] = append(g.IDs[row], int32(c.int))
		return spend(4)
	}); err != nil {
		return err
	}
	for i := 2; i < len(f.leaves); i++ {
		if err := f.loadColumn(from, g, i, spend); err != nil {
			return err
		}
	}
	return nil
}

// loadColumn reads the text or one of the data set's own columns.
func (f *File) loadColumn(from parquet.RowGroup, g *group, i int, spend func(bytes int) error) error {
	l := &f.leaves[i]
	out := newColumn(l.name, typeOf(l.kind))
	err := f.column(from, i, func(_ int, v parquet.Value) error {
		if v.IsNull() {
			return inColumn(l.name, errors.New("no value"))
		}
		c, err := l.cell(v)
		if err != nil {
			return err
		}
		switch {
		case c.kind != l.kind:
			return inColumn(l.name, errors.New("a value of another kind"))
		case c.kind == integer:
			out.add(c.int)
		case c.kind == fraction:
			out.add(c.float)
		case c.kind == boolean:
			out.add(c.bool)
		default:
			out.add(c.text)
		}
		return spend(len(c.text))
	})
	if i == 2 {
		g.Text = out.Values.([]string)
	} else {
		g.Columns = append(g.Columns, out)
	}
	return err
}
