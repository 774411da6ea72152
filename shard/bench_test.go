package shard

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"actfleet/shard/store"
	"actfleet/shard/store/local"
)

// benchBlock is a block of four vector columns.
func benchBlock(width int) (Schema, *Block) {
	s := Schema{Scalars: BaseScalars()}
	for i := range 4 {
		s.Vectors = append(s.Vectors, Vector{fmt.Sprintf("resid_%d", i), width, F16})
	}
	return s, fillBlock(s, 0, RowGroupRows)
}

// benchBytes is how much one operation writes or reads.
const benchBytes = 64 << 20

func benchWrite(b *testing.B, w io.Writer, s Schema, block *Block, groups int) int64 {
	sw, err := NewWriter(w, s, testID)
	if err != nil {
		b.Fatal(err)
	}
	for range groups {
		if err := sw.WriteBlock(block); err != nil {
			b.Fatal(err)
		}
	}
	f, err := sw.Close()
	if err != nil {
		b.Fatal(err)
	}
	return f.Size
}

// BenchmarkWriter reports the rate and its ratio to write(2) of the same vectors, which takes turns with it.
func BenchmarkWriter(b *testing.B) {
	for _, width := range []int{768, 4096} {
		b.Run(fmt.Sprintf("width=%d", width), func(b *testing.B) {
			s, block := benchBlock(width)
			groups := benchBytes / (4 * len(block.Vectors[0]))
			f, err := os.Create(filepath.Join(b.TempDir(), "shard"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			var ours, raw time.Duration
			for b.Loop() {
				raw += timed(b, f, func() { writeRaw(b, f, block, groups) })
				ours += timed(b, f, func() { b.SetBytes(benchWrite(b, f, s, block, groups)) })
			}
			b.ReportMetric(raw.Seconds()/ours.Seconds(), "of-write(2)")
		})
	}
}

func writeRaw(b *testing.B, w io.Writer, block *Block, groups int) {
	for range groups {
		for _, v := range block.Vectors {
			for ; len(v) > 0; v = v[min(onePage, len(v)):] {
				if _, err := w.Write(v[:min(onePage, len(v))]); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}

func timed(b *testing.B, f *os.File, do func()) time.Duration {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	do()
	return time.Since(start)
}

// BenchmarkReader reports the rate of reading every vector of a mapped shard and its ratio to touching the map.
func BenchmarkReader(b *testing.B) {
	for _, width := range []int{768, 4096} {
		b.Run(fmt.Sprintf("width=%d", width), func(b *testing.B) {
			s, block := benchBlock(width)
			var file bytes.Buffer
			b.SetBytes(benchWrite(b, &file, s, block, benchBytes/(4*len(block.Vectors[0]))))
			st, err := local.New(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			if err := store.Put(b.Context(), st, "k", file.Bytes()); err != nil {
				b.Fatal(err)
			}
			r, err := Open(b.Context(), st, "k")
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			var ours, plain time.Duration
			for b.Loop() {
				start := time.Now()
				touch(r.mapped)
				middle := time.Now()
				touchPages(b, r)
				plain += middle.Sub(start)
				ours += time.Since(middle)
			}
			b.ReportMetric(plain.Seconds()/ours.Seconds(), "of-touch")
		})
	}
}

func touchPages(b *testing.B, r *Reader) {
	for g := range r.NumGroups() {
		for col := range r.Schema().Vectors {
			for page, err := range r.Pages(g, col) {
				if err != nil {
					b.Fatal(err)
				}
				touch(page)
			}
		}
	}
}

func touch(b []byte) {
	var s [4]uint64
	for ; len(b) >= 32; b = b[32:] {
		s[0] += uint64(b[0]) | uint64(b[7])<<56
		s[1] += uint64(b[8]) | uint64(b[15])<<56
		s[2] += uint64(b[16]) | uint64(b[23])<<56
		s[3] += uint64(b[24]) | uint64(b[31])<<56
	}
	runtime.KeepAlive(s)
}

func BenchmarkUnpackF16(b *testing.B) {
	_, block := benchBlock(768)
	dst := make([]float32, len(block.Vectors[0])/2)
	b.SetBytes(int64(len(block.Vectors[0])))
	for b.Loop() {
		UnpackF16(dst, block.Vectors[0])
	}
}

func BenchmarkMeasure(b *testing.B) {
	for _, d := range []Dtype{F16, F32} {
		b.Run(d.String(), func(b *testing.B) {
			v := Vector{Width: 768, Dtype: d}
			values := make([]byte, RowGroupRows*v.RowBytes())
			b.SetBytes(int64(len(values)))
			for b.Loop() {
				var s VectorStats
				measureInto(&s, values, v)
			}
		})
	}
}

func BenchmarkScalars(b *testing.B) {
	s := testSchema()
	block := fillBlock(s, 0, RowGroupRows)
	w := newScalarWriter(s.Scalars)
	for b.Loop() {
		if _, err := w.encode(block.Scalars, RowGroupRows, 0); err != nil {
			b.Fatal(err)
		}
	}
}
