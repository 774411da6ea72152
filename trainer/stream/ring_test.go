package stream_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/store/mem"
	"actfleet/trainer/stream"
)

// A ring hands out the rows of a run that stays, in the same order. From any cursor it goes on without the units of the
// spans before; and what was handed out and left out together is every row of every unit once.
func TestRing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		units := rapid.IntRange(3, 8).Draw(rt, "units")
		src := func(ring *run.Ring) stream.Source {
			r := made(units*40, 7, units, 4)
			r.Ring = ring
			st := mem.New(time.Now)
			return stream.Source{Store: st, Plan: r.Write(t, st)}
		}
		cfg := stream.Config{Column: "fc2_3", Batch: rapid.IntRange(7, 90).Draw(rt, "batch"), ShuffleWindow: rapid.IntRange(1, 3).Draw(rt, "window"), Seed: 3,
			Epochs: 1, Span: rapid.IntRange(1, 3).Draw(rt, "span"), Filter: stream.Filter{Holdout: stream.Holdout{Fraction: 0.3}, Side: stream.Train}}
		want, _, err := keys(t, src(nil), cfg)
		if err != nil {
			t.Fatal(err)
		}
		ring := src(&run.Ring{Bytes: 1, Units: 3, Readers: []string{"a"}})
		cfg.Wait = func(context.Context, int) error { return errors.New("a unit is not there") }
		stop := rapid.IntRange(0, len(want)/cfg.Batch).Draw(rt, "stop")
		read := map[int]run.Tally{}
		got, at := follow(t, ring, cfg, stream.Cursor{}, stop, read)
		for u := range min(at.Span*cfg.Span, units) {
			if u >= cfg.Span { // the first span is opened to begin with
				if err := ring.Store.Delete(t.Context(), run.UnitKey(u)); err != nil {
					t.Fatal(err)
				}
			}
		}
		rest, _ := follow(t, ring, cfg, at, -1, read)
		if !slices.Equal(append(got, rest...), want) {
			rt.Fatalf("%d rows and then %d, want %d, or another order", len(got), len(rest), len(want))
		}
		all := map[int]run.Tally{}
		for row := range int64(units * 40) {
			for pos := range int32(1 + row%7) {
				sum := all[int(row)/40]
				sum.Add(row, pos)
				all[int(row)/40] = sum
			}
		}
		if !maps.Equal(read, all) {
			rt.Fatalf("read %v, want %v", read, all)
		}
	})
}

// follow reads a stream from a cursor on, so many batches or, below 0, to its end, and counts what it read.
func follow(t *testing.T, src stream.Source, cfg stream.Config, from stream.Cursor, batches int, read map[int]run.Tally) (out []stream.Key, at stream.Cursor) {
	t.Helper()
	s, err := stream.Open(t.Context(), []stream.Source{src}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Seek(from); err != nil {
		t.Fatal(err)
	}
	for n := 0; n != batches; n++ {
		b, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range b.Keys {
			sum := read[int(k.Unit)]
			sum.Add(k.Prompt, k.Pos)
			read[int(k.Unit)] = sum
		}
		for u, left := range b.LeftOut {
			sum := read[u]
			sum.Merge(left)
			read[u] = sum
		}
		out = append(out, b.Keys...)
	}
	return out, s.Cursor()
}

// A ring is read alone and while it is collected, and a unit that is gone is an error that says so.
func TestRingRefused(t *testing.T) {
	r := made(120, 7, 3, 4)
	r.Ring = &run.Ring{Bytes: 1, Units: 3, Readers: []string{"a"}}
	st := mem.New(time.Now)
	src := stream.Source{Store: st, Plan: r.Write(t, st)}
	cfg := stream.Config{Column: "fc2_3", Batch: 10, ShuffleWindow: 2, Span: 1, Epochs: 1}
	if _, _, err := keys(t, src, cfg); err == nil || !strings.Contains(err.Error(), "with --follow --reader NAME") {
		t.Errorf("without waiting: %v", err)
	}
	cfg.Wait = func(context.Context, int) error { return errors.New("a unit is not there") }
	if _, err := stream.Open(t.Context(), []stream.Source{src, src}, cfg); err == nil || !strings.Contains(err.Error(), "read alone") {
		t.Errorf("with another run: %v", err)
	}
	if err := errors.Join(st.Delete(t.Context(), run.UnitKey(1)), store.Put(t.Context(), st, run.GoneKey(1), []byte("{}"))); err != nil {
		t.Fatal(err)
	}
	if _, _, err := keys(t, src, cfg); !errors.Is(err, run.ErrGone) {
		t.Errorf("a unit that is gone: %v", err)
	}
}
