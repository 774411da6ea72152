package where

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"actfleet/shard"
)

// Test decides about row i of scalar columns.
type Test func(cols []any, i int) bool

// scope is what a condition is resolved in.
type scope struct {
	schema shard.Schema
	column func(name string) int // index of a column in a Test's cols
}

// Compile resolves the condition in a schema. column gives the place at which a Test
// will find a column of the schema.
func (e Expr) Compile(s shard.Schema, column func(name string) int) (Test, error) {
	return e.root.compile(&scope{s, column})
}

func compileAll(s *scope, parts []node) ([]Test, error) {
	tests := make([]Test, len(parts))
	for i, p := range parts {
		var err error
		if tests[i], err = p.compile(s); err != nil {
			return nil, err
		}
	}
	return tests, nil
}

func (e either) compile(s *scope) (Test, error) {
	tests, err := compileAll(s, e.parts)
	return func(cols []any, i int) bool {
		for _, t := range tests {
			if t(cols, i) {
				return true
			}
		}
		return false
	}, err
}

func (b both) compile(s *scope) (Test, error) {
	tests, err := compileAll(s, b.parts)
	return func(cols []any, i int) bool {
		for _, t := range tests {
			if !t(cols, i) {
				return false
			}
		}
		return true
	}, err
}

func (n not) compile(s *scope) (Test, error) {
	t, err := n.of.compile(s)
	return func(cols []any, i int) bool { return !t(cols, i) }, err
}

func (c compare) compile(s *scope) (Test, error) {
	at, ok := s.schema.ScalarIndex(c.column)
	if !ok {
		return nil, fmt.Errorf("no column %q; there are %s", c.column, names(s.schema))
	}
	t, err := c.test(s.schema.Scalars[at].Type, s.column(c.column))
	if err != nil {
		return nil, fmt.Errorf("%s %s %s: %w", c.column, c.op, c.value.text, err)
	}
	return t, nil
}

// test compares column col of a type with the value.
func (c compare) test(t shard.Type, col int) (Test, error) {
	switch t {
	case shard.Int64:
		return whole(c, func(cols []any, i int) int64 { return cols[col].([]int64)[i] })
	case shard.Int32:
		return whole(c, func(cols []any, i int) int64 { return int64(cols[col].([]int32)[i]) })
	case shard.Float32:
		v, err := c.number(32)
		return ordered(c.op, func(cols []any, i int) float32 { return cols[col].([]float32)[i] }, float32(v)), err
	case shard.Float64:
		v, err := c.number(64)
		return ordered(c.op, func(cols []any, i int) float64 { return cols[col].([]float64)[i] }, v), err
	case shard.Bool:
		return c.truth(col)
	case shard.String:
		return ordered(c.op, func(cols []any, i int) string { return cols[col].([]string)[i] }, c.value.text), nil
	}
	return nil, fmt.Errorf("columns of type %v cannot be compared", t)
}

func (c compare) number(bits int) (float64, error) {
	v, err := strconv.ParseFloat(c.value.text, bits)
	if err != nil || c.value.quoted {
		return 0, fmt.Errorf("the column holds numbers, %q is none", c.value.text)
	}
	return v, nil
}

// whole compares whole numbers exactly where the value is one.
func whole(c compare, get func(cols []any, i int) int64) (Test, error) {
	if v, err := strconv.ParseInt(c.value.text, 10, 64); err == nil && !c.value.quoted {
		return ordered(c.op, get, v), nil
	}
	v, err := c.number(64)
	return ordered(c.op, func(cols []any, i int) float64 { return float64(get(cols, i)) }, v), err
}

func (c compare) truth(col int) (Test, error) {
	v, err := strconv.ParseBool(strings.ToLower(c.value.text))
	if err != nil {
		return nil, fmt.Errorf("the column holds true and false, not %q", c.value.text)
	}
	switch c.op {
	case "=", "==":
		return func(cols []any, i int) bool { return cols[col].([]bool)[i] == v }, nil
	case "!=", "<>":
		return func(cols []any, i int) bool { return cols[col].([]bool)[i] != v }, nil
	}
	return nil, fmt.Errorf("true and false have no order")
}

// ordered compares with Go's operators, which hold for no NaN but !=.
func ordered[T cmp.Ordered](op string, get func(cols []any, i int) T, v T) Test {
	switch op {
	case "!=", "<>":
		return func(cols []any, i int) bool { return get(cols, i) != v }
	case "<":
		return func(cols []any, i int) bool { return get(cols, i) < v }
	case "<=":
		return func(cols []any, i int) bool { return get(cols, i) <= v }
	case ">":
		return func(cols []any, i int) bool { return get(cols, i) > v }
	case ">=":
		return func(cols []any, i int) bool { return get(cols, i) >= v }
	}
	return func(cols []any, i int) bool { return get(cols, i) == v }
}

func names(s shard.Schema) string {
	out := make([]string, len(s.Scalars))
	for i, c := range s.Scalars {
		out[i] = c.Name
	}
	return strings.Join(out, ", ")
}
