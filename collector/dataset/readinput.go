package dataset

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/parquet-go/parquet-go"
)

// inputName stands for the path in errors about an input file.
const inputName = "input"

// File is an input file open for reading by ranges of prompts. It holds the prompts' lengths and the row groups it
// read last. It may be used by several goroutines at once.
type File struct {
	file    *parquet.File
	size    int64
	head    Head
	leaves  []leaf // row, ids, text, then the data set's own, then lists
	lengths []int32
	kept    []int32 // positions of each prompt that become rows; nil: the prompts do not say
	starts  []int   // first prompt of each row group, then the number of prompts
	mu      sync.Mutex
	recent  []*group // read last, the latest first
}

// group is a row group in memory.
type group struct {
	number int
	Input
}

// recentGroups is how many row groups a File holds.
const recentGroups = 2

// OpenInput opens an input file of size bytes and reads the lengths of its prompts. A file that WriteInput would not
// have written is ErrFormat; what is held in memory at a time is bounded by a small multiple of size, whatever the
// file claims.
func OpenInput(r io.ReaderAt, size int64) (*File, error) {
	f, err := openInput(r, size)
	if err != nil && !errors.Is(err, ErrFormat) {
		err = fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", inputName, err)
	}
	return f, nil
}

func openInput(r io.ReaderAt, size int64) (*File, error) {
	file, err := openParquet(r, size)
	if err != nil {
		return nil, err
	}
	if v, _ := file.Lookup(formatKey); v != formatVersion {
		return nil, fmt.Errorf("not an input file of version %s (%s is %q)", formatVersion, formatKey, v)
	}
	if file.NumRows() < 1 || file.NumRows() > size/8 { // a row takes at least its number
		return nil, fmt.Errorf("%d rows in %d bytes", file.NumRows(), size)
	}
	f := &File{file: file, size: size}
	f.head.Digest, _ = file.Lookup(digestKey)
	if err := f.setLeaves(); err != nil {
		return nil, err
	}
	return f, f.measure()
}

// setLeaves makes sure that the columns are those of an input file, in their order.
func (f *File) setLeaves() (err error) {
	defer rescue(&err)
	want := []leaf{{name: rowColumn, kind: integer}, {name: inputIDs, kind: integer, list: true}, {name: textColumn, kind: text}}
	var lists []string // behind the data set's own
	for i, path := range f.file.Schema().Columns() {
		l, err := leafOf(f.file, path)
		if err != nil {
			return err
		}
		w := leaf{name: l.name, kind: l.kind}
		switch own := i >= len(want); {
		case !own:
			w = want[i]
		case l.list:
			w = leaf{name: l.name, kind: integer, list: true}
			lists = append(lists, l.name)
		default:
			f.head.Columns = append(f.head.Columns, Column{Name: l.name, Type: typeOf(l.kind)})
		}
		if l.name != w.name || l.kind != w.kind || l.list != w.list || l.kind == nested || l.kind == digits || !w.list && len(path) > 1 {
			return fmt.Errorf("column %q stands for %q", strings.Join(path, "."), w.name)
		}
		f.leaves = append(f.leaves, l)
	}
	f.head.Kept, f.head.Offsets = slices.Contains(lists, inputKept), slices.Contains(lists, inputStart)
	lists = nil
	for _, l := range f.leaves[min(len(f.leaves), len(want)+len(f.head.Columns)):] {
		lists = append(lists, l.name)
	}
	if len(f.leaves) < len(want) || !slices.Equal(lists, f.head.lists()) {
		return fmt.Errorf("%d columns, the last of them %q", len(f.leaves), lists)
	}
	return nil
}

func typeOf(k kind) Type {
	switch k {
	case integer:
		return Int64
	case fraction:
		return Float64
	case boolean:
		return Bool
	}
	return String
}

// measure reads the prompts' numbers and lengths.
func (f *File) measure() (err error) {
	defer rescue(&err)
	next, budget := int64(0), f.size/4
	for _, g := range f.file.RowGroups() {
		f.starts = append(f.starts, int(next))
		if err := f.column(g, 0, func(_ int, v parquet.Value) error {
			if v.IsNull() || v.Int64() != next {
				return fmt.Errorf("it says that it is row %d", v.Int64())
			}
			next++
			return nil
		}); err != nil {
			return err
		}
		if f.lengths, err = f.listLengths(g, 1, f.lengths, &budget); err != nil {
			return err
		}
		if i := f.leaf(inputKept); i > 0 {
			if f.kept, err = f.listLengths(g, i, f.kept, &budget); err != nil {
				return err
			}
		}
	}
	f.starts = append(f.starts, int(next))
	if next != f.file.NumRows() {
		return fmt.Errorf("column %q has %d rows of %d", rowColumn, next, f.file.NumRows())
	}
	return nil
}

// leaf is the number of a column behind the data set's own; 0: there is none of that name.
func (f *File) leaf(name string) int {
	if i := slices.Index(f.head.lists(), name); i >= 0 {
		return 3 + len(f.head.Columns) + i
	}
	return 0
}

// listLengths appends the lengths of a row group's lists, whose values together are no more than the budget.
func (f *File) listLengths(g parquet.RowGroup, leaf int, lengths []int32, budget *int64) ([]int32, error) {
	first := len(lengths)
	err := f.column(g, leaf, func(row int, v parquet.Value) error {
		if first+row == len(lengths) {
			lengths = append(lengths, 0)
		}
		if v.IsNull() {
			return nil
		}
		if *budget--; *budget < 0 {
			return errMoreContent
		}
		lengths[first+row]++
		return nil
	})
	return lengths, err
}

var errMoreContent = errors.New("more content than the file has bytes")

// column calls take for every value of one column of a row group; row counts from 0.
func (f *File) column(g parquet.RowGroup, i int, take func(row int, v parquet.Value) error) (err error) {
	c := cursor{pages: g.ColumnChunks()[f.leaves[i].index].Pages()}
	defer func() { err = errors.Join(err, c.close()) }()
	for row := range int(g.NumRows()) {
		if err := c.row(func(v parquet.Value) error { return take(row, v) }); err != nil {
			return fmt.Errorf("row %d: %w", row, err)
		}
	}
	if _, err := c.peek(); !errors.Is(err, io.EOF) {
		return errors.Join(fmt.Errorf("column %q has more than %d rows", f.leaves[i].name, g.NumRows()), err)
	}
	return nil
}

// Head is what the file says of itself.
func (f *File) Head() Head { return f.head }

// NumRows is the number of prompts.
func (f *File) NumRows() int { return len(f.lengths) }

// Lengths is the number of tokens of each prompt; it must not be changed.
func (f *File) Lengths() []int32 { return f.lengths }

// KeptCounts is how many positions of each prompt become rows, nil where the prompts do not say; it must not be changed.
func (f *File) KeptCounts() []int32 { return f.kept }

// Rows reads the prompts lo ≤ row < hi; what it returns must not be changed.
func (f *File) Rows(lo, hi int) (*Input, error) {
	out := &Input{First: lo, Digest: f.head.Digest}
	for n := range len(f.starts) - 1 {
		from, to := max(lo, f.starts[n]), min(hi, f.starts[n+1])
		if from >= to {
			continue
		}
		g, err := f.group(n)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", inputName, err)
		}
		part, _ := g.Rows(from, to) // in memory
		if from == lo && to == hi {
			return part, nil
		}
		out.append(part)
	}
	return out, nil
}

// append adds the prompts of another input with the same columns.
func (in *Input) append(part *Input) {
	in.IDs, in.Text = append(in.IDs, part.IDs...), append(in.Text, part.Text...)
	in.Kept, in.Starts, in.Ends = append(in.Kept, part.Kept...), append(in.Starts, part.Starts...), append(in.Ends, part.Ends...)
	if in.Columns == nil {
		for _, c := range part.Columns {
			in.Columns = append(in.Columns, newColumn(c.Name, c.Type))
		}
	}
	for k, c := range part.Columns {
		for i := range part.IDs {
			in.Columns[k].add(c.At(i))
		}
	}
}

// ReadInput reads a whole input file into memory, see OpenInput.
func ReadInput(r io.ReaderAt, size int64) (*Input, error) {
	f, err := OpenInput(r, size)
	if err != nil {
		return nil, err
	}
	return f.Rows(0, f.NumRows())
}
