package dataset

import (
	"fmt"
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
	text  string    // also the spelling of digits and field, and of a JSON number
	what  string    // of nested: "a list", "a record", "bytes"
	ints  []int64   // of nested: a list of whole numbers or of true and false
	chat  []Message // of nested: a conversation
	raw   []byte    // of nested: its JSON, not parsed yet
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
