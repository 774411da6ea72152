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
	if g.IDs, err = f.lists(from, 1, lengths, spend); err != nil {
		return err
	}
	for i := 2; i < 3+len(f.head.Columns); i++ {
		if err := f.loadColumn(from, g, i, spend); err != nil {
			return err
		}
	}
	for i, name := range f.head.lists() {
		into, sizes := map[string]*[][]int32{inputKept: &g.Kept, inputStart: &g.Starts, inputEnd: &g.Ends}[name], lengths
		if name == inputKept {
			sizes = f.kept[f.starts[g.number]:f.starts[g.number+1]]
		}
		if *into, err = f.lists(from, 3+len(f.head.Columns)+i, sizes, spend); err != nil {
			return err
		}
	}
	return g.checkLists()
}

// lists reads the lists of a column, of so many numbers from 0 on.
func (f *File) lists(from parquet.RowGroup, leaf int, sizes []int32, spend func(bytes int) error) ([][]int32, error) {
	out := make([][]int32, len(sizes))
	for i, n := range sizes {
		out[i] = make([]int32, 0, n)
	}
	err := f.column(from, leaf, func(row int, v parquet.Value) error {
		if v.IsNull() {
			return nil
		}
		c, err := f.leaves[leaf].plain(v)
		if err != nil || c.int < 0 || c.int != int64(int32(c.int)) {
			return inColumn(f.leaves[leaf].name, fmt.Errorf("%d is out of range", c.int))
		}
		out[row] = append(out[row], int32(c.int))
		return spend(4)
	})
	return out, err
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
