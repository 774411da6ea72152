package stream_test

import (
	"context"
	"errors"
	"io"
	"math"
	"path/filepath"
	"testing"
	"time"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/shard/store/local"
	"actfleet/trainer/stream"
)

// made is a run whose vectors say where they come from; values are exact in f16.
func made(rows, tokens, units, width int) shardtest.Run {
	r := shardtest.Run{Tokens: "all", Units: units, Rows: make([]shardtest.Row, rows),
		Vectors: []shard.Vector{{Name: "resid_0", Width: 3, Dtype: shard.F32}, {Name: "fc2_3", Width: width, Dtype: shard.F16}},
		Fill: func(c int, row int64, pos int32, dst []float32) {
			for j := range dst {
				dst[j] = float32(row%16) + float32(pos)/16 + float32(c*j%8)/64
			}
		}}
	for i := range r.Rows {
		r.Rows[i] = shardtest.Row{Tokens: 1 + i%tokens, Split: []string{"train", "test"}[i%2], Group: "g"}
	}
	return r
}

func TestReadsShards(t *testing.T) {
	for _, width := range []int{8, 1500} { // one page a row group, and several
		run := made(700, 7, 3, width)
		src := source(t, run)
		for column, name := range []string{"resid_0", "fc2_3"} {
			s, err := stream.Open(context.Background(), []stream.Source{src}, stream.Config{
				Column: name, Batch: 300, ShuffleWindow: 2, Epochs: 1, Filter: stream.Filter{Tokens: "last", Where: []string{"split=test"}}})
			if err != nil {
				t.Fatal(err)
			}
			seen := map[int64]bool{}
			for {
				b, err := s.Next(context.Background())
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				want := make([]float32, b.D)
				for i, k := range b.Keys {
					if int(k.Pos) != run.Rows[k.Prompt].Tokens-1 || k.Prompt%2 != 1 {
						t.Fatalf("%v should have been left out", k)
					}
					seen[k.Prompt] = true
					run.Fill(column, k.Prompt, k.Pos, want)
					for j, v := range want {
						if got := b.X[i*b.D+j]; got != v || math.IsNaN(float64(got)) {
							t.Fatalf("%s %v [%d] = %v, want %v", name, k, j, got, v)
						}
					}
				}
			}
			if len(seen) != 350 {
				t.Errorf("%s: %d rows, want 350", name, len(seen))
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	src := source(t, made(20, 3, 2, 8))
	for name, cfg := range map[string]stream.Config{
		"column":  {Column: "fc9_9", Batch: 1, ShuffleWindow: 1},
		"batch":   {Column: "fc2_3", Batch: 0, ShuffleWindow: 1},
		"tokens":  {Column: "fc2_3", Batch: 1, ShuffleWindow: 1, Filter: stream.Filter{Tokens: "first"}},
		"holdout": {Column: "fc2_3", Batch: 1, ShuffleWindow: 1, Filter: stream.Filter{Holdout: stream.Holdout{Fraction: 1}}},
	} {
		if s, err := stream.Open(context.Background(), []stream.Source{src}, cfg); err == nil {
			s.Close()
			t.Errorf("%s: accepted", name)
		}
	}
}

// BenchmarkStream reports the stored bytes of the column per second, of all cores,
// and their ratio to adding up the same bytes in file order on one core.
func BenchmarkStream(b *testing.B) {
	for _, width := range []int{256, 2560} {
		b.Run(map[int]string{256: "width=256", 2560: "width=2560"}[width], func(b *testing.B) {
			st, err := local.New(filepath.Join(b.TempDir(), "run"))
			if err != nil {
				b.Fatal(err)
			}
			src := stream.Source{Store: st, Plan: made(2000, 16*256*8/width/4, 4, width).Write(b, st)}
			cfg := stream.Config{Column: "fc2_3", Batch: 2048, ShuffleWindow: 32, Prefetch: 2}
			s, err := stream.Open(context.Background(), []stream.Source{src}, cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			bytes := s.Rows() * int64(width) * 2
			b.SetBytes(bytes)
			start := time.Now()
			for b.Loop() {
				for n := int64(0); n < s.Rows(); {
					batch, err := s.Next(context.Background())
					if err != nil {
						b.Fatal(err)
					}
					n += int64(batch.N)
				}
			}
			rate := float64(b.N) * float64(bytes) / time.Since(start).Seconds()
			b.ReportMetric(rate/touchRate(b, src), "of-touch")
		})
	}
}

// touchRate is the bytes per second of adding up the column as 64-bit words.
func touchRate(b *testing.B, src stream.Source) float64 {
	var sum, bytes uint64
	start := time.Now()
	for range 5 {
		for u := range src.Plan.NumUnits() {
			r, err := shard.Open(context.Background(), src.Store, run.UnitKey(u))
			if err != nil {
				b.Fatal(err)
			}
			for g := range r.NumGroups() {
				for page, err := range r.Pages(g, 1) {
					if err != nil {
						b.Fatal(err)
					}
					for i := 0; i+8 <= len(page); i += 8 {
						sum += uint64(page[i]) | uint64(page[i+1])<<8 | uint64(page[i+2])<<16 | uint64(page[i+3])<<24 |
							uint64(page[i+4])<<32 | uint64(page[i+5])<<40 | uint64(page[i+6])<<48 | uint64(page[i+7])<<56
					}
					bytes += uint64(len(page))
				}
			}
			r.Close()
		}
	}
	if sum == 1 {
		b.Log(sum)
	}
	return float64(bytes) / time.Since(start).Seconds()
}
