package dataset

import (
	"fmt"
	"math"
)

// kind is what a cell holds, or what a column has held so far.
type kind uint8

const (
	missing kind = iota
	integer
	fraction
	boolean
	text
)

func (k kind) String() string {
	return [...]string{"nothing", "whole numbers", "numbers", "true or false", "text"}[k]
}

// cell is one value of a row before its column's type is known.
type cell struct {
	kind  kind
	int   int64
	float float64
	bool  bool
	text  string
}

// builder collects a column; only the slice of its kind is used. Cells before the
// first value are only counted.
type builder struct {
	name   string
	kind   kind
	n      int // cells so far
	ints   []int64
	floats []float64
	bools  []bool
	texts  []string
}

// exact is the greatest whole number up to which a float64 holds every one.
const exact = 1 << 53

// add appends a cell, changing whole numbers to floats where the column needs it.
func (b *builder) add(c cell) error {
	if c.kind == missing {
		return b.skip()
	}
	if err := b.become(c.kind); err != nil {
		return err
	}
	switch b.kind {
	case integer:
		b.ints = append(b.ints, c.int)
	case fraction:
		if c.kind == integer {
			return b.addWhole(c.int)
		}
		b.floats = append(b.floats, c.float)
	case boolean:
		b.bools = append(b.bools, c.bool)
	case text:
		b.texts = append(b.texts, c.text)
	}
	b.n++
	return nil
}

func (b *builder) addWhole(v int64) error {
	if v > exact || v < -exact {
		return fmt.Errorf("column %q: %d is too large for a column of fractions", b.name, v)
	}
	b.floats = append(b.floats, float64(v))
	b.n++
	return nil
}

// become prepares the column for a value of kind k.
func (b *builder) become(k kind) error {
	switch {
	case b.kind == k || b.kind == fraction && k == integer:
		return nil
	case b.kind == missing:
		return b.begin(k)
	case b.kind == integer && k == fraction:
		return b.toFloats()
	}
	return fmt.Errorf("column %q holds %s, and here %s", b.name, b.kind, k)
}

// begin gives a column its first kind, with b.n missing cells before it.
func (b *builder) begin(k kind) error {
	b.kind = k
	switch {
	case b.n == 0:
	case k == integer || k == fraction:
		b.kind = fraction
		for range b.n {
			b.floats = append(b.floats, math.NaN())
		}
	case k == text:
		b.texts = make([]string, b.n)
	default:
		return b.noBool()
	}
	return nil
}

func (b *builder) noBool() error {
	return fmt.Errorf("column %q holds true or false, and a row has no value for it; give one, or use 0 and 1", b.name)
}

func (b *builder) toFloats() error {
	b.kind = fraction
	ints := b.ints
	b.ints, b.n = nil, 0
	for _, v := range ints {
		if err := b.addWhole(v); err != nil {
			return err
		}
	}
	return nil
}

// skip appends a missing value.
func (b *builder) skip() error {
	switch b.kind {
	case integer:
		if err := b.toFloats(); err != nil {
			return err
		}
		b.floats = append(b.floats, math.NaN())
	case fraction:
		b.floats = append(b.floats, math.NaN())
	case boolean:
		return b.noBool()
	case text:
		b.texts = append(b.texts, "")
	}
	b.n++
	return nil
}

// column is the finished column.
func (b *builder) column() Column {
	switch b.kind {
	case integer:
		return Column{b.name, Int64, b.ints}
	case fraction:
		return Column{b.name, Float64, b.floats}
	case boolean:
		return Column{b.name, Bool, b.bools}
	case text:
		return Column{b.name, String, b.texts}
	}
	return Column{b.name, String, make([]string, b.n)}
}
