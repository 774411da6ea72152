package dataset

import (
	"errors"
	"fmt"
)

// What a caller may decide on.
var (
	// ErrEmpty says that a source has no rows.
	ErrEmpty = errors.New("no rows")
	// ErrFormat says that a source breaks its format or the rules for columns.
	ErrFormat = errors.New("bad data")
	// ErrPrompt says that a prompt cannot be used: empty, too long, or ids outside the vocabulary.
	ErrPrompt = errors.New("bad prompt")
)

// Type is the type of a column's values.
type Type uint8

// The types of columns, with the Go type of Column.Values.
const (
	Int64   Type = iota // []int64
	Float64             // []float64
	Bool                // []bool
	String              // []string
)

// String names the type as in error messages and in an input file.
func (t Type) String() string {
	names := [...]string{"int64", "float64", "bool", "string"}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Column is one scalar per row, carried along with the prompts.
type Column struct {
	Name   string
	Type   Type
	Values any // []int64, []float64, []bool or []string, by Type; one per row
}

// Set is a source in memory, its rows in order.
type Set struct {
	Rows    int
	Text    []string  // per row, template applied; "" where there is none
	IDs     [][]int32 // per row: ids the source gave, nil where it gave a text
	Columns []Column  // the source's own columns, in the order of its first mention

	path   string
	digest string
	lines  []int // line of each row from 1; nil where the source has no lines
}

// Digest is the hex SHA-256 of the source file's bytes.
func (s *Set) Digest() string { return s.digest }

// Where names the place of a row for an error: "data.jsonl:17", or "data.parquet
// row 16" where there are no lines.
func (s *Set) Where(row int) string {
	if s.lines == nil {
		return fmt.Sprintf("%s row %d", s.path, row)
	}
	return fmt.Sprintf("%s:%d", s.path, s.lines[row])
}

// Input is a data set as the model reads it. IDs[i], Text[i] and every column's
// value i belong to row i.
type Input struct {
	Digest  string // hex SHA-256 of the source file
	IDs     [][]int32
	Text    []string // as tokenised, template applied; "" where the source gave ids only
	Columns []Column // the data set's own columns, in the source's order
}

// NumRows is the number of prompts.
func (in *Input) NumRows() int { return len(in.IDs) }
