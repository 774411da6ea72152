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

// String names the type as in error messages.
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

// Input is a data set as the model reads it. IDs[i], Text[i] and every column's
// value i belong to row i.
type Input struct {
	Digest  string // hex SHA-256 of the source file
	IDs     [][]int32
	Text    []string // as tokenised, template applied; "" where the source gave ids
	Columns []Column // the data set's own columns, in the source's order
}

// NumRows is the number of prompts.
func (in *Input) NumRows() int { return len(in.IDs) }
