package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// drain reads at most limit batches; the keys are copied.
func drain(t testing.TB, s *Stream, limit int) (keys []Key, x []float32, sizes []int) {
	t.Helper()
	for range limit {
		b, err := s.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return keys, x, sizes
		}
		if err != nil {
			t.Fatal(err)
		}
		keys, x, sizes = append(keys, b.Keys...), append(x, b.X...), append(sizes, b.N)
	}
	return keys, x, sizes
}

func open(t testing.TB, units []*fakeUnit, cfg Config) *Stream {
	t.Helper()
	s, err := openFake(units, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStream(t testing.TB, s *Stream) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Every row comes exactly once an epoch, with its own vector, in full batches but
// for the last of an epoch, whatever the sizes.
func TestCoverage(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		units := drawUnits(rt)
		cfg := drawConfig(rt)
		s := open(t, units, cfg)
		defer closeStream(t, s)
		keys, x, sizes := drain(t, s, 1<<20)
		total := 0
		for _, u := range units {
			total += len(u.rows)
		}
		if len(keys) != cfg.Epochs*total {
			t.Fatalf("%d rows in %d epochs, want %d each", len(keys), cfg.Epochs, total)
		}
		for e := range cfg.Epochs {
			seen := map[Key]bool{}
			for i, k := range keys[e*total : (e+1)*total] {
				if seen[k] {
					t.Fatalf("epoch %d: %v twice", e, k)
				}
				seen[k] = true
				at := (e*total + i) * fakeWidth
				if want := fakeValue(k); x[at] != want {
					t.Fatalf("%v carries %v, want %v", k, x[at], want)
				}
			}
		}
		perEpoch := (total + cfg.Batch - 1) / cfg.Batch
		for i, n := range sizes {
			if n != cfg.Batch && (i+1)%perEpoch != 0 {
				t.Fatalf("batch %d holds %d rows, want %d", i, n, cfg.Batch)
			}
		}
	})
}

// Reading ahead never changes the order; the seed does.
func TestOrder(t *testing.T) {
	units := fixedUnits(5, 1300)
	cfg := Config{Column: "fc1_0", Batch: 100, ShuffleWindow: 3, Seed: 7, Epochs: 2}
	a := open(t, units, cfg)
	defer closeStream(t, a)
	want, _, _ := drain(t, a, 1000)
	for _, prefetch := range []int{1, 5, 64} {
		cfg.Prefetch = prefetch
		s := open(t, units, cfg)
		got, _, _ := drain(t, s, 1000)
		closeStream(t, s)
		if !slices.Equal(got, want) {
			t.Errorf("prefetch %d changes the order", prefetch)
		}
	}
	cfg.Seed = 8
	s := open(t, units, cfg)
	defer closeStream(t, s)
	if got, _, _ := drain(t, s, 1000); slices.Equal(got, want) {
		t.Error("another seed gives the same order")
	}
	half := len(want) / 2
	if slices.Equal(want[:half], want[half:]) {
		t.Error("two epochs have the same order")
	}
}

// A stream that seeks to a cursor gives exactly the remainder.
func TestResume(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		units, cfg := drawUnits(rt), drawConfig(rt)
		cut := rapid.IntRange(0, 12).Draw(rt, "cut")
		a := open(t, units, cfg)
		defer closeStream(t, a)
		drain(t, a, cut)
		cursor := a.Cursor()
		want, _, wantSizes := drain(t, a, 1<<20)

		cfg.Prefetch = rapid.IntRange(0, 9).Draw(rt, "other prefetch")
		b := open(t, units, cfg)
		defer closeStream(t, b)
		drain(t, b, 2)
		if err := b.Seek(cursor); err != nil {
			t.Fatal(err)
		}
		got, _, gotSizes := drain(t, b, 1<<20)
		if !slices.Equal(got, want) || !slices.Equal(gotSizes, wantSizes) {
			t.Fatalf("after %d batches the remainder differs", cut)
		}
	})
}

func TestErrors(t *testing.T) {
	units := fixedUnits(2, 700)
	cfg := Config{Column: "fc1_0", Batch: 64, ShuffleWindow: 1, Epochs: 1}
	t.Run("unit fails", func(t *testing.T) {
		bad := fixedUnits(2, 700)
		bad[1].fail = errors.New("disk on fire")
		s := open(t, bad, cfg)
		defer closeStream(t, s)
		var err error
		for err == nil {
			_, err = s.Next(context.Background())
		}
		if !errors.Is(err, bad[1].fail) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nothing kept", func(t *testing.T) {
		c := cfg
		c.Filter.Where = []string{"split=nowhere"}
		s := open(t, units, c)
		defer closeStream(t, s)
		if _, err := s.Next(context.Background()); !errors.Is(err, ErrEmpty) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("cursor of another stream", func(t *testing.T) {
		s := open(t, units, cfg)
		defer closeStream(t, s)
		if err := s.Seek(Cursor{Window: 99}); !errors.Is(err, ErrCursor) {
			t.Errorf("got %v", err)
		}
		if err := s.Seek(Cursor{Offset: 600}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Next(context.Background()); !errors.Is(err, ErrCursor) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		s := open(t, units, cfg)
		defer closeStream(t, s)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for range 100 { // a batch that is ready may still win
			if _, err := s.Next(ctx); errors.Is(err, context.Canceled) {
				return
			}
		}
		t.Error("Next ignores its context")
	})
	for _, where := range []string{"nope=1", "label", "label=x"} {
		c := cfg
		c.Filter.Where = []string{where}
		if _, err := openFake(units, c); err == nil {
			t.Errorf("condition %q is accepted", where)
		}
	}
}

func TestMeasure(t *testing.T) {
	rows := make([]Key, 8)
	for i := range rows {
		rows[i].Unit = int32(i % 4)
	}
	if m := Measure(rows, 4); m != (Mixing{Units: 4, Entropy: 2, Evenness: 1}) {
		t.Errorf("even rows: %+v", m)
	}
	if m := Measure(rows[:1], 4); m.Entropy != 0 || m.Units != 1 {
		t.Errorf("one row: %+v", m)
	}
}

// Windows of many groups mix units; a window of one does not.
func TestMixingGrowsWithWindow(t *testing.T) {
	units := fixedUnits(8, 1024)
	even := func(window int) float64 {
		s := open(t, units, Config{Column: "fc1_0", Batch: 256, ShuffleWindow: window, Epochs: 1})
		defer closeStream(t, s)
		b, err := s.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return Measure(b.Keys, s.Units()).Evenness
	}
	if one, all := even(1), even(16); one != 0 || all < 0.95 {
		t.Errorf("evenness: window 1 %.2f, window 16 %.2f", one, all)
	}
}

func ExampleMeasure() {
	rows := []Key{{Unit: 0}, {Unit: 0}, {Unit: 1}, {Unit: 2}}
	fmt.Printf("%.2f bits\n", Measure(rows, 4).Entropy)
	// Output: 1.50 bits
}
