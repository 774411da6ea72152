package stream_test

import (
	"context"
	"errors"
	"io"
	"math"
	"reflect"
	"testing"
	"time"

	"actfleet/shard/store/mem"
	"actfleet/trainer/coder"
	"actfleet/trainer/stream"
)

// withSinks is a run whose first tokens are a hundred times as long as others, and whose prompt 101 has one in its middle.
func withSinks(t testing.TB, prompts, units int) stream.Source {
	r := made(prompts, 6, units, 4)
	fill := r.Fill
	r.Fill = func(c int, row int64, pos int32, dst []float32) {
		fill(c, row, pos, dst)
		var square float64
		for _, v := range dst {
			square += float64(v) * float64(v)
		}
		for j := range dst {
			dst[j] *= float32((1 + float64(row%5)/10) / math.Sqrt(square))
			if pos == 0 && row%7 != 0 || row == 101 && pos == 3 {
				dst[j] *= 100
			}
		}
	}
	return source(t, r)
}

// tally reads a stream to its end and counts what it says.
func tally(t testing.TB, src stream.Source, cfg stream.Config) (rows, sinks, marked int, longest float64, norms []coder.Norms) {
	t.Helper()
	s, err := stream.Open(t.Context(), []stream.Source{src}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for {
		b, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return rows, sinks, marked, longest, s.Norms()
		}
		if err != nil {
			t.Fatal(err)
		}
		rows, sinks = rows+b.N, sinks+b.Sinks
		for i := range b.N {
			var square float64
			for _, v := range b.X[i*b.D : (i+1)*b.D] {
				square += float64(v) * float64(v)
			}
			longest = max(longest, math.Sqrt(square))
			if b.Sink != nil && b.Sink[i] {
				marked++
			}
		}
	}
}

// A position whose median is extreme is a sink position, all of it; a single long row elsewhere is a sink; each counts
// once however often the data are read.
func TestSinks(t *testing.T) {
	src := withSinks(t, 300, 3)
	cfg := stream.Config{Column: "fc2_3", Batch: 50, ShuffleWindow: 2, Epochs: 2, Span: 1}
	all, _, _, _, none := tally(t, src, cfg)
	if none != nil {
		t.Errorf("norms %v without a need", none)
	}
	const sinks = 300 + 1
	cfg.Sinks = stream.DropSinks
	rows, n, marked, longest, norms := tally(t, src, cfg)
	if rows != all-2*sinks || n != sinks || marked != 0 || longest > 2 {
		t.Errorf("dropped: %d of %d rows came, %d sinks, %d marked, the longest is %v", rows, all, n, marked, longest)
	}
	if p := norms[0].Positions; len(p) != 1 || p[0].Pos != 0 || norms[0].Median < 1 || norms[0].Median > 1.5 || norms[0].Rows > all/2/3+1 {
		t.Errorf("norms %+v", norms)
	}
	cfg.Sinks = stream.KeepSinks
	if rows, n, marked, longest, _ = tally(t, src, cfg); rows != all || n != sinks || marked != 2*sinks || longest < 90 {
		t.Errorf("kept: %d of %d rows came, %d sinks, %d marked, the longest is %v", rows, all, n, marked, longest)
	}
	cfg.Sinks = stream.ClipSinks
	if rows, n, marked, longest, _ = tally(t, src, cfg); rows != all || n != sinks || marked != 0 || longest > 2 {
		t.Errorf("clipped: %d of %d rows came, %d sinks, %d marked, the longest is %v", rows, all, n, marked, longest)
	}
	s, err := stream.Open(t.Context(), []stream.Source{src}, stream.Config{Column: "fc2_3", Batch: 50, ShuffleWindow: 2, Sinks: stream.DropSinks})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if count, err := s.Count(t.Context()); err != nil || count != int64(all/2-300) {
		t.Errorf("counts %d rows, want those of all other positions, %d: %v", count, all/2-300, err)
	}
}

// Without rows of extreme norm nothing is left out and nothing comes in another order.
func TestNoSinks(t *testing.T) {
	src := source(t, made(300, 5, 3, 4))
	cfg := stream.Config{Column: "fc2_3", Batch: 50, ShuffleWindow: 2, Epochs: 1}
	want, _, err := keys(t, src, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg.Sinks = range []string{stream.DropSinks, stream.ClipSinks, stream.KeepSinks} {
		if got, _, err := keys(t, src, cfg); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: other rows: %v", cfg.Sinks, err)
		}
	}
	cfg.Sinks = "other"
	if _, _, err := keys(t, src, cfg); err == nil {
		t.Error("an unknown way with sinks is accepted")
	}
}

// What is ordinary is the same for whoever follows a collection, for a part of the batches, and after an interruption.
func TestNormsOfAll(t *testing.T) {
	src := withSinks(t, 300, 6)
	cfg := stream.Config{Column: "fc2_3", Batch: 40, ShuffleWindow: 2, Epochs: 1, Span: 2, Sinks: stream.DropSinks}
	wantRows, wantSinks, _, _, want := tally(t, src, cfg)

	growing := mem.New(time.Now)
	cfg.Seed = 9 // of the order of rows alone
	cfg.Wait = func(_ context.Context, unit int) error {
		copyUnit(t, src.Store, growing, unit, unit)
		return nil
	}
	rows, sinks, _, _, got := tally(t, stream.Source{Store: growing, Plan: src.Plan}, cfg)
	if !reflect.DeepEqual(got, want) || rows != wantRows || sinks != wantSinks {
		t.Errorf("following: %d rows, %d sinks, %+v; want %d, %d, %+v", rows, sinks, got, wantRows, wantSinks, want)
	}

	cfg.Wait, sinks = nil, 0
	var at stream.Cursor
	for range 50 {
		s, err := stream.Open(t.Context(), []stream.Source{src}, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Share(1, 3), s.Seek(at)); err != nil {
			t.Fatal(err)
		}
		b, err := s.Next(t.Context())
		if err == nil {
			sinks += b.Sinks
		}
		at = s.Cursor()
		if closed := s.Close(); closed != nil || !reflect.DeepEqual(s.Norms(), want) {
			t.Fatalf("%v, %+v", closed, s.Norms())
		}
		if err != nil {
			break
		}
	}
	if sinks != wantSinks {
		t.Errorf("%d sinks in parts, want %d", sinks, wantSinks)
	}
}

// A window of which nothing is handed out is counted too.
func TestLeftOutOfEmptyWindows(t *testing.T) {
	r := made(900, 1, 3, 4)
	fill := r.Fill
	r.Fill = func(c int, row int64, pos int32, dst []float32) {
		fill(c, row, pos, dst)
		if row >= 300 && row < 600 {
			dst[0] = float32(math.Inf(1))
		}
	}
	s, err := stream.Open(t.Context(), []stream.Source{source(t, r)}, stream.Config{Column: "fc2_3", Batch: 100, ShuffleWindow: 1, Span: 1, Epochs: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var dropped int
	for {
		b, err := s.Next(t.Context())
		if err != nil {
			break
		}
		dropped += b.Dropped
	}
	if dropped != 300 {
		t.Errorf("%d rows were left out, want 300", dropped)
	}
}
