package collector

import (
	"fmt"

	"actfleet/collector/dataset"
	"actfleet/shard"
)

// textColumn is the column of the rendered prompt, kept when asked for.
const textColumn = "text"

// ownScalars are the shard columns for the data set's own ones, in its order.
func ownScalars(columns []dataset.Column, keepText bool) ([]shard.Scalar, error) {
	var out []shard.Scalar
	for _, c := range columns {
		kind, ok := map[dataset.Type]shard.Type{dataset.Int64: shard.Int64, dataset.Float64: shard.Float64,
			dataset.Bool: shard.Bool, dataset.String: shard.String}[c.Type]
		if !ok {
			return nil, fmt.Errorf("column %s: a shard cannot hold %s", c.Name, c.Type)
		}
		out = append(out, shard.Scalar{Name: c.Name, Type: kind})
	}
	if keepText {
		out = append(out, shard.Scalar{Name: textColumn, Type: shard.String})
	}
	return out, nil
}

// own is an input's values for a column of the plan, one per prompt.
func own(in *dataset.Input, name string) any {
	for _, c := range in.Columns {
		if c.Name == name {
			return c.Values
		}
	}
	return in.Text
}

// copyCell copies value row of a data-set column to place at of a block's column of the same type.
func copyCell(dst any, at int, src any, row int) {
	switch d := dst.(type) {
	case []int64:
		d[at] = src.([]int64)[row]
	case []float64:
		d[at] = src.([]float64)[row]
	case []bool:
		d[at] = src.([]bool)[row]
	case []string:
		d[at] = src.([]string)[row]
	}
}
