package dataset

import (
	"errors"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// column is one column of a Parquet file as its users see it: all leaves below one name.
type column struct {
	name    string
	leaves  []leaf
	keys    []string // of the leaves of messages behind the first two
	cursors []cursor
	read    func(c *column) (cell, error) // the next row's value
	what    string                        // of a column that is not read
}

// columnsOf lists a file's columns in their order.
func columnsOf(f *parquet.File) (out []column, err error) {
	defer rescue(&err)
	for _, path := range f.Schema().Columns() {
		l, err := leafOf(f, path)
		if err != nil {
			return nil, err
		}
		if n := len(out); n > 0 && out[n-1].name == l.name {
			out[n-1].leaves = append(out[n-1].leaves, l)
			continue
		}
		out = append(out, column{name: l.name, leaves: []leaf{l}})
	}
	for i := range out {
		out[i].setForm(f)
	}
	return out, nil
}

// The names that the two parts of a message go by: of the trade's usual form, and of ShareGPT's.
var messageFields = [][2]string{{"role", "content"}, {"from", "value"}}

// setForm decides how the column's rows are read: as values, as lists of whole numbers, as conversations, or not.
func (c *column) setForm(f *parquet.File) {
	depth := 0
	for _, l := range c.leaves {
		if col, ok := f.Schema().Lookup(l.path...); ok {
			depth = max(depth, col.MaxRepetitionLevel)
		}
	}
	first := c.leaves[0]
	switch {
	case depth == 0 && len(c.leaves) == 1 && len(first.path) == 1:
		c.read = (*column).value
	case depth == 1 && len(c.leaves) == 1 && (first.kind == integer || first.kind == boolean):
		c.read = (*column).list
	case depth > 0 && c.keepMessage():
		c.read = (*column).conversation
	case depth == 2 && len(c.leaves) == 1 && first.kind == integer:
		c.what, c.read = "a list", (*column).pairs
	case depth < 2 && c.keepSpan():
		c.what, c.read = [...]string{"a record", "a list"}[depth], (*column).spans
	case depth > 0:
		c.what = "a list"
	default:
		c.what = "a record"
	}
}

// keepMessage keeps of the leaves the two of a message, in their order, if they are there, and then the others.
func (c *column) keepMessage() bool {
	for _, names := range messageFields {
		var two []leaf
		for _, n := range names {
			i := slices.IndexFunc(c.leaves, func(l leaf) bool { return l.depth == 1 && l.kind == text && l.path[len(l.path)-1] == n })
			if i < 0 {
				break
			}
			two = append(two, c.leaves[i])
		}
		if len(two) == 2 {
			depth := len(two[0].path) - 1
			for _, l := range c.leaves {
				if l.list && l.index != two[0].index && l.index != two[1].index && len(l.path) > depth {
					two, c.keys = append(two, l), append(c.keys, l.path[depth])
				}
			}
			c.leaves = two
			return true
		}
	}
	return false
}

// keepSpan keeps of the leaves a span's start and end, if they are there.
func (c *column) keepSpan() bool {
	var two []leaf
	for _, name := range []string{"start", "end"} {
		for _, l := range c.leaves {
			if l.kind == integer && len(l.path) > 1 && l.path[len(l.path)-1] == name {
				two = append(two, l)
			}
		}
	}
	if len(two) != 2 {
		return false
	}
	c.leaves = two
	return true
}

// enter begins a row group.
func (c *column) enter(g parquet.RowGroup) {
	if c.read == nil {
		return
	}
	c.cursors = make([]cursor, len(c.leaves))
	for i, l := range c.leaves {
		c.cursors[i].pages = g.ColumnChunks()[l.index].Pages()
	}
}

func (c *column) close() error {
	var errs []error
	for i := range c.cursors {
		errs = append(errs, c.cursors[i].close())
	}
	return errors.Join(errs...)
}

// next is the next row's cell.
func (c *column) next() (cell, error) {
	if c.read == nil {
		return cell{kind: nested, what: c.what}, nil
	}
	out, err := c.read(c)
	if err != nil {
		return cell{}, inColumn(c.name, err)
	}
	return out, nil
}

// value reads a single value.
func (c *column) value() (out cell, err error) {
	err = c.cursors[0].row(func(v parquet.Value) error {
		out, err = c.leaves[0].cell(v)
		return err
	})
	return out, err
}

// list reads a list of whole numbers, or of true and false as 1 and 0.
func (c *column) list() (out cell, err error) {
	l := &c.leaves[0]
	ints := []int64{}
	err = c.cursors[0].row(func(v parquet.Value) error {
		switch {
		case !v.IsNull():
			n, err := l.plain(v)
			if n.bool {
				n.int = 1
			}
			ints = append(ints, n.int)
			return err
		case v.DefinitionLevel() < l.emptyLevel:
			ints = nil
		case v.DefinitionLevel() > l.emptyLevel:
			return errors.New("a list with a null in it")
		}
		return nil
	})
	if err != nil || ints == nil {
		return cell{}, err
	}
	return cell{kind: nested, what: "a list", ints: ints}, nil
}

// conversation reads a list of messages.
func (c *column) conversation() (cell, error) {
	var parts [2][]*string
	t, null := &talk{}, false
	for i := range c.leaves {
		l, message := &c.leaves[i], -1
		err := c.cursors[i].row(func(v parquet.Value) error {
			if v.RepetitionLevel() < 2 {
				message++
			}
			if v.DefinitionLevel() < l.element {
				null = v.DefinitionLevel() == 0
				return nil
			}
			part, err := l.cell(v)
			switch {
			case i >= len(parts):
				if part.kind != missing && (part.kind != text || part.text != "") {
					t.more = append(t.more, extra{message, c.keys[i-len(parts)]})
				}
			case part.kind == missing:
				parts[i] = append(parts[i], nil)
			default:
				parts[i] = append(parts[i], &part.text)
			}
			return err
		})
		if err != nil {
			return cell{}, err
		}
	}
	if null {
		return cell{}, nil
	}
	if len(parts[0]) != len(parts[1]) {
		return cell{}, errors.New("messages without a role or without a content")
	}
	for i := range parts[0] {
		t.add(parts[0][i], parts[1][i])
	}
	return cell{kind: nested, what: "a list", chat: t}, nil
}

// spans reads a record of start and end, or a list of such; one with a null is not read.
func (c *column) spans() (cell, error) {
	out := cell{kind: nested, what: c.what, pairs: [][2]int64{}}
	whole, null := true, true
	var n [2]int
	for side := range n {
		l := &c.leaves[side]
		err := c.cursors[side].row(func(v parquet.Value) error {
			null = null && v.IsNull() && v.DefinitionLevel() == 0
			if v.IsNull() {
				whole = whole && l.list && v.DefinitionLevel() <= l.emptyLevel
				return nil
			}
			if n[side] == len(out.pairs) {
				out.pairs = append(out.pairs, [2]int64{})
			}
			value, err := l.plain(v)
			out.pairs[n[side]][side] = value.int
			n[side]++
			return err
		})
		if err != nil {
			return cell{}, err
		}
	}
	switch {
	case null && len(out.pairs) == 0:
		return cell{}, nil
	case !whole || n[0] != n[1]:
		out.pairs = nil
	}
	return out, nil
}

// pairs reads a list of lists, each of two whole numbers; one with others in it is not read.
func (c *column) pairs() (cell, error) {
	l, out := &c.leaves[0], cell{kind: nested, what: c.what, pairs: [][2]int64{}}
	whole, null, n := true, false, 2 // numbers of the last pair
	err := c.cursors[0].row(func(v parquet.Value) error {
		switch {
		case v.IsNull():
			null = v.DefinitionLevel() == 0
			whole = whole && v.DefinitionLevel() < l.emptyLevel
			return nil
		case v.RepetitionLevel() < 2:
			whole = whole && n == 2
			out.pairs, n = append(out.pairs, [2]int64{}), 0
		}
		if n == 2 {
			whole = false
			return nil
		}
		value, err := l.plain(v)
		out.pairs[len(out.pairs)-1][n] = value.int
		n++
		return err
	})
	switch {
	case err != nil || null:
		return cell{}, err
	case !whole || n != 2:
		out.pairs = nil
	}
	return out, nil
}
