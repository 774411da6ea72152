package stream_test

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/shard/store"
	"actfleet/shard/store/mem"
	"actfleet/trainer/stream"
)

// keys reads a stream to its end.
func keys(t testing.TB, src stream.Source, cfg stream.Config) (out []stream.Key, overNorm int, err error) {
	t.Helper()
	s, err := stream.Open(t.Context(), []stream.Source{src}, cfg)
	if err != nil {
		return nil, 0, err
	}
	defer s.Close()
	for {
		b, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return out, overNorm, nil
		}
		if err != nil {
			return out, overNorm, err
		}
		out, overNorm = append(out, b.Keys...), overNorm+b.OverNorm
	}
}

// source commits a run to a store in memory.
func source(tb testing.TB, r shardtest.Run) stream.Source {
	st := mem.New(time.Now)
	return stream.Source{Store: st, Plan: r.Write(tb, st)}
}

// copyUnit commits a unit of one store to another.
func copyUnit(t testing.TB, from, to store.Store, u, as int) {
	t.Helper()
	o, err := from.Open(t.Context(), run.UnitKey(u))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	data := make([]byte, o.Size())
	if _, err := o.ReadAt(data, 0); err != nil {
		t.Fatal(err)
	}
	p, err := to.Create(t.Context(), run.UnitKey(as))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A stream that follows a collection gives the order of one that reads it later,
// whatever the order in which units come; and it begins before the last one is there.
func TestFollow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		units := rapid.IntRange(2, 9).Draw(rt, "units")
		whole := source(t, made(units*40, 7, units, 4))
		cfg := stream.Config{Column: "fc2_3", Batch: 37, ShuffleWindow: rapid.IntRange(1, 3).Draw(rt, "window"), Seed: 3, Epochs: 2,
			Span: rapid.IntRange(0, 4).Draw(rt, "span")}
		want, _, err := keys(t, whole, cfg)
		if err != nil {
			t.Fatal(err)
		}
		growing := mem.New(time.Now)
		order := rapid.Permutation(numbers(units)).Draw(rt, "order")
		cfg.Wait = func(context.Context, int) error {
			if len(order) > 0 {
				copyUnit(t, whole.Store, growing, order[0], order[0])
				order = order[1:]
			}
			return nil
		}
		wait, lock := cfg.Wait, make(chan struct{}, 1)
		cfg.Wait = func(ctx context.Context, u int) error { // units are opened side by side
			lock <- struct{}{}
			defer func() { <-lock }()
			return wait(ctx, u)
		}
		got, _, err := keys(t, stream.Source{Store: growing, Plan: whole.Plan}, cfg)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%d rows, want %d, or another order: %v", len(got), len(want), err)
		}
	})
}

func numbers(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// The first span is read while the rest is missing, and closing ends the waiting.
func TestFollowBegins(t *testing.T) {
	whole := source(t, made(200, 5, 6, 4))
	growing := mem.New(time.Now)
	for u := range 2 {
		copyUnit(t, whole.Store, growing, u, u)
	}
	src := []stream.Source{{Store: growing, Plan: whole.Plan}}
	cfg := stream.Config{Column: "fc2_3", Batch: 10, ShuffleWindow: 2, Span: 2, Wait: func(ctx context.Context, _ int) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	s, err := stream.Open(t.Context(), src, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 15 {
		if _, err := s.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	cfg.Wait = nil
	if _, err = stream.Open(t.Context(), src, cfg); !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "--follow") {
		t.Errorf("without waiting: %v", err)
	}
	cfg.Wait = func(context.Context, int) error { return errors.New("the fleet is gone") }
	if _, err = stream.Open(t.Context(), []stream.Source{{Store: mem.New(time.Now), Plan: whole.Plan}}, cfg); err == nil || !strings.Contains(err.Error(), "fleet is gone") {
		t.Errorf("waiting fails: %v", err)
	}
}

// Spans keep units together in the first epoch, in their order.
func TestSpans(t *testing.T) {
	src := source(t, made(600, 5, 6, 4))
	got, _, err := keys(t, src, stream.Config{Column: "fc2_3", Batch: 50, ShuffleWindow: 9, Span: 2, Epochs: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(got, func(a, b stream.Key) int { return int(a.Unit/2) - int(b.Unit/2) }) {
		t.Error("units of different spans are mixed")
	}
	if slices.IsSortedFunc(got[:300], func(a, b stream.Key) int { return int(a.Prompt - b.Prompt) }) {
		t.Error("rows of a span are not mixed")
	}
}

// Shards that are not what the plan or the manifest says are refused by name.
func TestChangedShards(t *testing.T) {
	whole := source(t, made(200, 5, 4, 4))
	other := source(t, made(208, 5, 4, 4))
	cfg := stream.Config{Column: "fc2_3", Batch: 10, ShuffleWindow: 2, Epochs: 1}
	st := mem.New(time.Now)
	for u := range 3 {
		copyUnit(t, whole.Store, st, u, u)
	}
	copyUnit(t, other.Store, st, 3, 3)
	if _, _, err := keys(t, stream.Source{Store: st, Plan: whole.Plan}, cfg); err == nil || !strings.Contains(err.Error(), "unit 3 of") {
		t.Errorf("a unit of another plan: %v", err)
	}
	if _, _, err := run.Finish(t.Context(), whole.Store, whole.Plan); err != nil {
		t.Fatal(err)
	}
	if _, _, err := keys(t, whole, cfg); err != nil {
		t.Error(err)
	}
	if err := whole.Store.Delete(t.Context(), run.UnitKey(1)); err != nil {
		t.Fatal(err)
	}
	copyUnit(t, other.Store, whole.Store, 1, 1)
	if _, _, err := keys(t, whole, cfg); err == nil || !strings.Contains(err.Error(), "manifest says") {
		t.Errorf("a unit of another size: %v", err)
	}
}

// Rows of great norm are left out and counted; a value that is not finite can end it.
func TestLeavesOut(t *testing.T) {
	run := made(300, 5, 3, 4)
	fill := run.Fill
	run.Fill = func(c int, row int64, pos int32, dst []float32) {
		fill(c, row, pos, dst)
		if pos == 0 && row%3 == 0 {
			dst[0] = 1000
		}
		if pos == 1 && row == 101 {
			dst[1] = float32(math.NaN())
		}
	}
	src := source(t, run)
	cfg := stream.Config{Column: "fc2_3", Batch: 50, ShuffleWindow: 2, Epochs: 1, MaxNorm: 2}
	got, overNorm, err := keys(t, src, cfg)
	if err != nil || overNorm != 100 {
		t.Errorf("%d rows were too great, want 100: %v", overNorm, err)
	}
	for _, k := range got {
		if k.Pos == 0 && k.Prompt%3 == 0 {
			t.Fatalf("%v is among the rows", k)
		}
	}
	cfg.FailNonFinite = true
	if _, _, err = keys(t, src, cfg); !errors.Is(err, stream.ErrNonFinite) || !strings.Contains(err.Error(), "unit 1 row group") {
		t.Errorf("got %v", err)
	}
}
