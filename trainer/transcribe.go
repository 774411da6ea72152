package trainer

import (
	"fmt"

	"actfleet/shard"
)

// transcriber turns row groups of activations into row groups of codes, which are
// full although a filter left rows out.
type transcriber struct {
	reader  *shard.Reader
	encoder encoder
	writer  *shard.Writer
	schema  shard.Schema
	part    *shard.Block // codes of one row group
	full    *shard.Block // what is written next
}

// group encodes the given rows of row group g.
func (t *transcriber) group(g int, rows []int) error {
	key, err := t.reader.Scalars(g, "row", "pos")
	if err != nil {
		return err
	}
	row, pos := t.part.Scalars[0].([]int64), t.part.Scalars[1].([]int32)
	for j, i := range rows {
		row[j], pos[j] = key[0].([]int64)[i], key[1].([]int32)[i]
	}
	var x [][]float32
	for _, name := range t.encoder.columns() {
		v, err := readVectors(t.reader, g, name, rows)
		if err != nil {
			return err
		}
		x = append(x, v)
	}
	if err := t.encoder.encode(x, len(rows), t.part); err != nil {
		return err
	}
	t.part.Rows = len(rows)
	return t.append()
}

// readVectors is the given rows of a column of row group g, [n, D].
func readVectors(r *shard.Reader, g int, name string, rows []int) ([]float32, error) {
	col, ok := r.VectorIndex(name)
	if !ok {
		return nil, fmt.Errorf("no vector column %q", name)
	}
	v := r.Schema().Vectors[col]
	raw, err := r.Vector(g, col, nil)
	if err != nil {
		return nil, err
	}
	unpack := shard.UnpackF16
	if v.Dtype == shard.F32 {
		unpack = shard.UnpackF32
	}
	x := make([]float32, len(rows)*v.Width)
	for j, i := range rows {
		unpack(x[j*v.Width:(j+1)*v.Width], raw[i*v.RowBytes():(i+1)*v.RowBytes()])
	}
	return x, nil
}

// append moves part's rows to full, writing whenever that is complete.
func (t *transcriber) append() error {
	for from := 0; from < t.part.Rows; {
		n := min(t.part.Rows-from, shard.RowGroupRows-t.full.Rows)
		for c := range t.full.Scalars {
			copyRows(t.full.Scalars[c], t.full.Rows, t.part.Scalars[c], from, n)
		}
		for c, v := range t.schema.Vectors {
			b := v.RowBytes()
			copy(t.full.Vectors[c][t.full.Rows*b:], t.part.Vectors[c][from*b:(from+n)*b])
		}
		t.full.Rows += n
		from += n
		if t.full.Rows == shard.RowGroupRows {
			if err := t.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *transcriber) flush() error {
	t.full.Measure(t.schema)
	err := t.writer.WriteBlock(t.full)
	t.full.Rows = 0
	return err
}

func copyRows(dst any, at int, src any, from, n int) {
	switch d := dst.(type) {
	case []int64:
		copy(d[at:], src.([]int64)[from:from+n])
	case []int32:
		copy(d[at:], src.([]int32)[from:from+n])
	case []float32:
		copy(d[at:], src.([]float32)[from:from+n])
	}
}
