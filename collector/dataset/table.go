package dataset

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// table takes rows cell by cell and becomes a Set.
type table struct {
	text     []string
	ids      [][]int32
	builders []*builder
	byName   map[string]*builder // by lower-case name
	lines    []int

	// of the row being filled
	hasText, hasIDs bool
}

func newTable() *table { return &table{byName: map[string]*builder{}} }

// begin starts a row.
func (t *table) begin() {
	t.text, t.ids = append(t.text, ""), append(t.ids, nil)
	t.hasText, t.hasIDs = false, false
}

// setText gives the row its text.
func (t *table) setText(c cell) error {
	if c.kind == missing {
		return nil
	}
	if c.kind != text {
		return fmt.Errorf("column %q holds %s, want text", textColumn, c.kind)
	}
	if t.hasText {
		return fmt.Errorf("column %q is there twice", textColumn)
	}
	t.text[len(t.text)-1], t.hasText = c.text, true
	return nil
}

// setIDs gives the row its token ids.
func (t *table) setIDs(ids []int64) error {
	if t.hasIDs {
		return fmt.Errorf("column %q is there twice", idsColumn)
	}
	out := make([]int32, len(ids))
	for i, id := range ids {
		if id < 0 || id > math.MaxInt32 {
			return fmt.Errorf("column %q: %d is no token id", idsColumn, id)
		}
		out[i] = int32(id)
	}
	t.ids[len(t.ids)-1], t.hasIDs = out, true
	return nil
}

// set gives the row a value of one of its own columns.
func (t *table) set(name string, c cell) error {
	b, err := t.builder(name)
	if err != nil {
		return err
	}
	row := len(t.text) - 1
	if b.n > row {
		return fmt.Errorf("column %q is there twice", name)
	}
	for b.n < row {
		if err := b.skip(); err != nil {
			return err
		}
	}
	return b.add(c)
}

func (t *table) builder(name string) (*builder, error) {
	key := strings.ToLower(name)
	if b := t.byName[key]; b != nil {
		if b.name != name {
			return nil, fmt.Errorf("columns %q and %q differ only in case; rename one", b.name, name)
		}
		return b, nil
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	b := &builder{name: name}
	t.byName[key] = b
	t.builders = append(t.builders, b)
	return b, nil
}

// end checks the finished row.
func (t *table) end() error {
	if t.hasText || t.hasIDs {
		return nil
	}
	var names []string
	for _, b := range t.builders {
		names = append(names, b.name)
	}
	return fmt.Errorf("neither %s nor %s (its columns: %s)", textColumn, idsColumn, strings.Join(names, ", "))
}

// pad gives every column a value for every row.
func (t *table) pad() error {
	for _, b := range t.builders {
		for b.n < len(t.text) {
			if err := b.skip(); err != nil {
				return t.at(b.n, err)
			}
		}
	}
	return nil
}

// at names the place of a row in an error.
func (t *table) at(row int, err error) error {
	if t.lines == nil {
		return fmt.Errorf("row %d: %w", row, err)
	}
	return fmt.Errorf("line %d: %w", t.lines[row], err)
}

// finish makes the set, without path and digest.
func (t *table) finish() (*Set, error) {
	if len(t.text) == 0 {
		return nil, ErrEmpty
	}
	if err := t.pad(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	s := &Set{Rows: len(t.text), Text: t.text, IDs: t.ids, lines: t.lines}
	for _, b := range t.builders {
		s.Columns = append(s.Columns, b.column())
	}
	return s, nil
}

// checkUTF8 refuses text that no column can hold.
func checkUTF8(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("not UTF-8 text; convert the file to UTF-8")
	}
	return nil
}
