package storebench

import (
	"encoding/binary"
	"fmt"
	"io"

	"actfleet/shard"
)

// sourceBytes is the memory that the writers write from, more than a core's caches hold: activations come from a model,
// not from the cache.
const sourceBytes = 32 << 20

// source is the blocks that are written, again and again until they make fileBytes.
type source struct {
	schema shard.Schema
	blocks []*shard.Block
}

func newSource(columns, width int) source {
	s := source{schema: benchSchema(columns, width)}
	for n := 0; n < sourceBytes; n += groupBytes(s.schema) {
		s.blocks = append(s.blocks, newBlock(s.schema, uint64(n+1)))
	}
	return s
}

// groupBytes is the size of the vectors of a row group.
func groupBytes(s shard.Schema) (n int) {
	for _, v := range s.Vectors {
		n += shard.RowGroupRows * v.RowBytes()
	}
	return n
}

// each hands out the blocks of one file.
func (s source) each(use func(*shard.Block) error) error {
	for i := range fileBytes / groupBytes(s.schema) {
		if err := use(s.blocks[i%len(s.blocks)]); err != nil {
			return err
		}
	}
	return nil
}

// newBlock makes a block of pseudo-random values of magnitudes from 1/4 to 4.
func newBlock(s shard.Schema, state uint64) *shard.Block {
	b := shard.NewBlock(s)
	b.Rows = shard.RowGroupRows
	for i := range b.Rows {
		b.Scalars[0].([]int64)[i] = int64(i)
		b.Scalars[4].([]string)[i] = fmt.Sprint("token", i%50)
	}
	for c := range s.Vectors {
		for at := 0; at < len(b.Vectors[c]); at += 2 {
			state = state*6364136223846793005 + 1442695040888963407 // Knuth's MMIX generator
			h := uint16(state>>48)&0x83ff | uint16(13+state>>40&3)<<10
			binary.LittleEndian.PutUint16(b.Vectors[c][at:], h)
		}
	}
	b.Measure(s)
	return b
}

// writeShard writes the source as one shard.
func writeShard(w io.Writer, s source) (int64, error) {
	sw, err := shard.NewWriter(w, s.schema, shard.Identity{PlanID: "bench"})
	if err != nil {
		return 0, err
	}
	if err := s.each(sw.WriteBlock); err != nil {
		return 0, err
	}
	f, err := sw.Close()
	return f.Size, err
}

// writeRaw writes the same vectors by bare write(2), in pieces of 1 MiB.
func writeRaw(w io.Writer, s source) (n int64, err error) {
	const piece = 1 << 20
	err = s.each(func(b *shard.Block) error {
		for _, v := range b.Vectors {
			for ; len(v) > 0; v = v[min(piece, len(v)):] {
				k, err := w.Write(v[:min(piece, len(v))])
				if n += int64(k); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return n, err
}
