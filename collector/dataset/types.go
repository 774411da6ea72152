package dataset

import (
	"fmt"
	"math"
	"strconv"
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
	Values any // []int64, []float64, []bool or []string, by Type; one per row. nil in a Head
}

// newColumn is a column without values.
func newColumn(name string, t Type) Column {
	c := Column{Name: name, Type: t}
	switch t {
	case Int64:
		c.Values = []int64(nil)
	case Float64:
		c.Values = []float64(nil)
	case Bool:
		c.Values = []bool(nil)
	case String:
		c.Values = []string(nil)
	}
	return c
}

// add appends a value of the column's type.
func (c *Column) add(v any) {
	switch values := c.Values.(type) {
	case []int64:
		c.Values = append(values, v.(int64))
	case []float64:
		c.Values = append(values, v.(float64))
	case []bool:
		c.Values = append(values, v.(bool))
	case []string:
		c.Values = append(values, v.(string))
	}
}

// At is value i: an int64, float64, bool or string.
func (c Column) At(i int) any {
	switch v := c.Values.(type) {
	case []int64:
		return v[i]
	case []float64:
		return v[i]
	case []bool:
		return v[i]
	}
	return c.Values.([]string)[i]
}

// errChanged says that a cell is not what the first reading of the source found.
var errChanged = fmt.Errorf("%w: the file changed while it was read", ErrFormat)

// whole is the cell as an int64.
func (c cell) whole() (int64, error) {
	if c.kind == integer {
		return c.int, nil
	}
	v, err := strconv.ParseInt(c.text, 10, 64)
	if c.kind != field || err != nil {
		return 0, errChanged
	}
	return v, nil
}

// number is the cell as a float64; a missing one is NaN.
func (c cell) number() (float64, error) {
	switch c.kind {
	case missing:
		return math.NaN(), nil
	case integer:
		return float64(c.int), nil
	case fraction:
		return c.float, nil
	}
	v, err := strconv.ParseFloat(c.text, 64)
	if c.kind != field || err != nil {
		return 0, errChanged
	}
	return v, nil
}
