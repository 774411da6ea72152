package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// kind is what a cell holds.
type kind uint8

const (
	missing  kind = iota
	integer       // an int64
	fraction      // a float64
	boolean
	text
	digits // a number that neither int64 nor float64 holds, as it is spelled
	field  // of CSV: text that may be meant as a number
	nested // a list, a record or bytes: what a shard cannot hold
	kinds  // how many there are
)

func (k kind) String() string {
	return [...]string{"nothing", "whole numbers", "numbers", "true or false", "text", "large numbers", "text", "lists or records"}[k]
}

// cell is one value of a row as its file holds it.
type cell struct {
	kind  kind
	int   int64
	float float64
	bool  bool
	text  string     // also the spelling of digits and field, and of a JSON number
	what  string     // of nested: "a list", "a record", "bytes"
	ints  []int64    // of nested: a list of whole numbers or of true and false
	pairs [][2]int64 // of nested: a record of start and end, or a list of these or of pairs
	chat  *talk      // of nested: a conversation
	raw   []byte     // of nested: its JSON, not parsed yet
}

// spelling is the cell as text.
func (c cell) spelling() string {
	switch {
	case c.text != "":
		return c.text
	case c.kind == integer:
		return strconv.FormatInt(c.int, 10)
	case c.kind == fraction:
		return strconv.FormatFloat(c.float, 'g', -1, 64)
	case c.kind == boolean:
		return strconv.FormatBool(c.bool)
	}
	return ""
}

// named is a cell with its column's name.
type named struct {
	name string
	cell
}

// row is one row of a source.
type row struct {
	at    int // line from 1, or row from 0 where the file has no lines
	cells []named
}

// cell is the row's value in a column; a column it lacks is missing.
func (r row) cell(name string) cell {
	for _, c := range r.cells {
		if c.name == name {
			return c.cell
		}
	}
	return cell{}
}

// chunk is a run of rows on its way from a file; parse may be called by any goroutine, once.
type chunk struct {
	rows  int
	parse func() ([]row, error)
}

// What a chunk holds at the most, short of one row alone.
const (
	chunkBytes = 1 << 20
	chunkRows  = 4096
)

// checkUTF8 refuses text that no column can hold.
func checkUTF8(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("not UTF-8 text; convert the file to UTF-8")
	}
	return nil
}

// brief shortens a text from a file for a message.
func brief(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s… (%d characters)", s[:most], utf8.RuneCountInString(s))
}

// part is a range of a list.
type part struct{ from, to int }

// idsOf reads a row's token ids, and which of them its mask takes for tokens; nil where it has none.
func idsOf(c cell, mask string, r row) (list []int64, kept part, err error) {
	list, err = c.list()
	if err != nil || list == nil {
		return nil, kept, inIDs(idsColumn, "want a list of token ids, such as [1, 2]", err)
	}
	for _, id := range list {
		if id < 0 || id > math.MaxInt32 {
			return nil, kept, fmt.Errorf("%w: column %q: %d is no token id", ErrFormat, idsColumn, id)
		}
	}
	if mask == "" {
		return list, part{0, len(list)}, nil
	}
	kept, err = masked(len(list), r.cell(mask))
	return list, kept, err
}

func inIDs(name, want string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNullInList):
		want = err.Error()
	}
	return fmt.Errorf("%w: column %q: %s", ErrFormat, name, want)
}

// list is a cell as a list of whole numbers; nil where it is missing.
func (c cell) list() (list []int64, err error) {
	raw := c.raw
	switch {
	case c.kind == missing:
		return nil, nil
	case c.ints != nil:
		return c.ints, nil
	case c.kind == field:
		raw = []byte(c.text)
	}
	if bytes.Contains(raw, []byte("null")) { // which would be read as 0
		return nil, errNullInList
	}
	if json.Unmarshal(raw, &list) == nil && list != nil {
		return list, nil
	}
	var bools []bool
	if err := json.Unmarshal(raw, &bools); err != nil || bools == nil {
		return nil, errNoList
	}
	list = make([]int64, len(bools))
	for i, b := range bools {
		if b {
			list[i] = 1
		}
	}
	return list, nil
}

var (
	errNoList     = fmt.Errorf("%w: no list of whole numbers", ErrFormat)
	errNullInList = errors.New("a list with a null in it")
)

// masked leaves out the padding, on either side of n ids, that a mask marks with 0 or false. A mask that is a single
// number is how many ids at the beginning are tokens.
func masked(n int, c cell) (part, error) {
	if c.kind == missing {
		return part{0, n}, nil
	}
	bad := func(says string, args ...any) (part, error) {
		return part{}, fmt.Errorf("%w: column %q: %s", ErrFormat, maskColumn, fmt.Sprintf(says, args...))
	}
	if tokens, err := c.whole(); err == nil {
		if tokens < 0 || tokens > int64(n) {
			return bad("%d of %d ids", tokens, n)
		}
		return part{0, int(tokens)}, nil
	}
	mask, err := c.list()
	if errors.Is(err, errNullInList) {
		return bad("%s", err)
	}
	if err != nil {
		return bad("want a list of 0 and 1, or of true and false")
	}
	if len(mask) != n {
		return bad("it has length %d, and %s has length %d; they must be as long", len(mask), idsColumn, n)
	}
	from, to := 0, len(mask)
	for from < to && mask[from] == 0 {
		from++
	}
	for to > from && mask[to-1] == 0 {
		to--
	}
	for i, m := range mask[from:to] {
		if m != 1 {
			return bad("position %d is %d: want one run of 1, padding (0) on either side of it; "+
				"rows that hold several documents must be taken apart first", from+i, m)
		}
	}
	return part{from, to}, nil
}
