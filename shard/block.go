package shard

import "fmt"

// RowGroupRows is the number of rows of every row group but the last. It is what a point query reads per column, and
// what a writer holds in memory: 16 columns of 4096 f16 values take 67 MB. Half costs 2 × the footer, double makes
// point queries in SQL 2 × slower; scans do not care.
const RowGroupRows = 512

// Block is the rows of one row group in memory. A producer fills it, the Writer writes it, and it is used again.
type Block struct {
	Rows int
	// Scalars has one slice per scalar column: []int64, []int32, []float32, []float64, []bool or []string by the
	// schema. The first Rows values count.
	Scalars []any
	// Vectors has one slice per vector column: little-endian values, row after row. The first Rows × RowBytes count.
	Vectors [][]byte
	// Stats has one entry per vector column, over the rows of this block. Whoever packs the values fills it.
	Stats []VectorStats
}

// NewBlock returns an empty block with room for RowGroupRows rows: every slice has its full length, Rows is 0.
func NewBlock(s Schema) *Block {
	b := &Block{
		Scalars: make([]any, len(s.Scalars)),
		Vectors: make([][]byte, len(s.Vectors)),
		Stats:   make([]VectorStats, len(s.Vectors)),
	}
	for i, c := range s.Scalars {
		b.Scalars[i] = newColumn(c.Type, RowGroupRows)
	}
	for i, v := range s.Vectors {
		b.Vectors[i] = make([]byte, RowGroupRows*v.RowBytes())
	}
	return b
}

// Measure recomputes Stats from the stored bytes. It is the readable reference for the packers' statistics. What
// overflowed when it was packed is counted as NonFinite here, because the bytes do not tell the difference.
func (b *Block) Measure(s Schema) {
	b.Stats = make([]VectorStats, len(s.Vectors))
	for i, v := range s.Vectors {
		for r := range b.Rows {
			row := b.Vectors[i][r*v.RowBytes() : (r+1)*v.RowBytes()]
			b.Stats[i].Merge(measureRow(row, v.Dtype))
		}
	}
}

func newColumn(t Type, n int) any {
	switch t {
	case Int64:
		return make([]int64, n)
	case Int32:
		return make([]int32, n)
	case Float32:
		return make([]float32, n)
	case Float64:
		return make([]float64, n)
	case Bool:
		return make([]bool, n)
	}
	return make([]string, n)
}

// columnLen returns the length of a scalar slice, or an error if its type is not t's.
func columnLen(column any, t Type) (int, error) {
	switch c := column.(type) {
	case []int64:
		return len(c), expect(t, Int64)
	case []int32:
		return len(c), expect(t, Int32)
	case []float32:
		return len(c), expect(t, Float32)
	case []float64:
		return len(c), expect(t, Float64)
	case []bool:
		return len(c), expect(t, Bool)
	case []string:
		return len(c), expect(t, String)
	}
	return 0, fmt.Errorf("%w: a column of %T", ErrSchema, column)
}

func expect(want, got Type) error {
	if want != got {
		return fmt.Errorf("%w: %s values in a %s column", ErrSchema, got, want)
	}
	return nil
}

// check returns an error unless the Writer can write the block.
func (b *Block) check(s Schema) error {
	if b.Rows < 0 || b.Rows > RowGroupRows {
		return fmt.Errorf("block of %d rows, at most %d", b.Rows, RowGroupRows)
	}
	if len(b.Scalars) != len(s.Scalars) || len(b.Vectors) != len(s.Vectors) || len(b.Stats) != len(s.Vectors) {
		return fmt.Errorf("%w: block of %d scalar and %d vector columns with %d statistics, the schema has %d and %d",
			ErrSchema, len(b.Scalars), len(b.Vectors), len(b.Stats), len(s.Scalars), len(s.Vectors))
	}
	for i, c := range s.Scalars {
		if n, err := columnLen(b.Scalars[i], c.Type); err != nil || n < b.Rows {
			return fmt.Errorf("column %q of the block holds %d of %d rows: %w", c.Name, n, b.Rows, orSchema(err))
		}
	}
	for i, v := range s.Vectors {
		if len(b.Vectors[i]) < b.Rows*v.RowBytes() {
			return fmt.Errorf("%w: column %q of the block holds %d bytes, %d rows need %d", ErrSchema, v.Name, len(b.Vectors[i]), b.Rows, b.Rows*v.RowBytes())
		}
		if b.Stats[i].Count != int64(b.Rows) {
			return fmt.Errorf("statistics of column %q count %d rows, the block has %d", v.Name, b.Stats[i].Count, b.Rows)
		}
	}
	return nil
}

func orSchema(err error) error {
	if err == nil {
		return ErrSchema
	}
	return err
}
