package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"actfleet/shard"
)

// readGroup returns, per column, what gives the value of a row: a scalar, or a vector as []float32.
func readGroup(r *shard.Reader, g int, columns []string) ([]func(row int) any, error) {
	out := make([]func(int) any, len(columns))
	for i, name := range columns {
		var err error
		if col, ok := r.VectorIndex(name); ok {
			out[i], err = vectorCells(r, g, col)
		} else {
			out[i], err = scalarCells(r, g, name)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func vectorCells(r *shard.Reader, g, col int) (func(int) any, error) {
	raw, err := r.Vector(g, col, nil)
	if err != nil {
		return nil, err
	}
	v := r.Schema().Vectors[col]
	return func(row int) any {
		x := make([]float32, v.Width)
		one := raw[row*v.RowBytes() : (row+1)*v.RowBytes()]
		if v.Dtype == shard.F32 {
			shard.UnpackF32(x, one)
		} else {
			shard.UnpackF16(x, one)
		}
		return x
	}, nil
}

func scalarCells(r *shard.Reader, g int, name string) (func(int) any, error) {
	cols, err := r.Scalars(g, name)
	if err != nil {
		return nil, err
	}
	switch c := cols[0].(type) {
	case []int64:
		return func(i int) any { return c[i] }, nil
	case []int32:
		return func(i int) any { return c[i] }, nil
	case []float32:
		return func(i int) any { return number(c[i]) }, nil
	case []float64:
		return func(i int) any { return number(c[i]) }, nil
	case []bool:
		return func(i int) any { return c[i] }, nil
	case []string:
		return func(i int) any { return c[i] }, nil
	}
	return nil, fmt.Errorf("column %s: %T cannot be written as text", name, cols[0])
}

// number is v, or nil where JSON has no number for it.
func number[F float32 | float64](v F) any {
	if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return v
}

// jsonlRow writes a row as a JSON object with the columns in their order.
func jsonlRow(w io.Writer, columns []string) func([]any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	keys := make([]string, len(columns))
	for i, name := range columns {
		key, _ := json.Marshal(name) // a string always encodes
		keys[i] = string(key) + ":"
	}
	return func(row []any) error {
		b.Reset()
		for i, v := range row {
			b.WriteString([]string{"{", ","}[min(i, 1)] + keys[i])
			if err := enc.Encode(v); err != nil {
				return err
			}
			b.Truncate(b.Len() - 1) // Encode ends the line
		}
		b.WriteString("}\n")
		_, err := w.Write(b.Bytes())
		return err
	}
}

// csvRow writes the header at once and each row as text; vectors and missing numbers as JSON has them.
func csvRow(w io.Writer, columns []string) func([]any) error {
	out := csv.NewWriter(w)
	header := out.Write(columns)
	text := make([]string, len(columns))
	return func(row []any) error {
		if header != nil {
			return header
		}
		for i, v := range row {
			switch v := v.(type) {
			case string:
				text[i] = v
			case nil:
				text[i] = ""
			default:
				b, err := json.Marshal(v)
				if err != nil {
					return err
				}
				text[i] = string(b)
			}
		}
		if err := out.Write(text); err != nil {
			return err
		}
		out.Flush()
		return out.Error()
	}
}
