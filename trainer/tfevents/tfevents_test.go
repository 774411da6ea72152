package tfevents

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var at = time.Unix(1_700_000_000, 250_000_000)

func scalar(step int64, tag string, v float32) Event {
	return Event{Time: at, Step: step, Values: []Value{{Tag: tag, Scalar: v}}}
}

// The bytes of a file's first record, as tensorboard's own writer makes them at time 0.
func TestFirstRecord(t *testing.T) {
	got := appendRecord(nil, Event{Time: time.Unix(0, 0), Version: version}.encode())
	const want = "0f00000000000000" + "6d532b09" + "1a0d627261696e2e4576656e743a32" + "fc985129"
	if hex.EncodeToString(got) != want {
		t.Errorf("got %x, want %s", got, want)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "tfevents")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		w, err := Create(dir, at, "host", 6)
		if err != nil {
			t.Fatal(err)
		}
		want := []Event{{Time: at, Version: version}, {Time: at, Step: 7, Start: true}}
		for step := range rapid.IntRange(0, 5).Draw(t, "events") {
			e := Event{Time: at, Step: int64(step)}
			for _, tag := range rapid.SliceOfN(rapid.String(), 1, 4).Draw(t, "tags") {
				v := Value{Tag: tag, Scalar: rapid.Float32().Draw(t, "v")}
				if rapid.Bool().Draw(t, "histogram") {
					v = Value{Tag: tag, Histogram: &Histogram{Min: -1, Max: 2, Num: 3, Sum: 1, SumSquares: 4, Limit: []float64{0, 2}, Count: []float64{1, 2}}}
				}
				e.Values = append(e.Values, v)
			}
			want = append(want, e)
			if err := w.Append(e); err != nil {
				t.Fatal(err)
			}
		}
		got, err := Read(w.path)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %v, want %v: %v", got, want, err)
		}
	})
}

// Cut at every length of a file leaves the whole events before it, and what Create makes
// next is read after them.
func TestCut(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(dir, at, "host", -1)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Append(scalar(1, "a", 1), scalar(2, "a", 2), scalar(3, "a", 3)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	last := len(appendRecord(nil, scalar(3, "a", 3).encode()))
	for size := range len(text) + 1 {
		dir := t.TempDir()
		path := filepath.Join(dir, filepath.Base(w.path))
		if err := os.WriteFile(path, text[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Cut(dir, func(e Event) bool { return e.Step > 2 }); err != nil {
			t.Fatal(err)
		}
		events, err := Read(path)
		if errors.Is(err, os.ErrNotExist) {
			if size >= len(text)-2*last {
				t.Errorf("of %d bytes nothing is left", size)
			}
			continue
		}
		if err != nil || events[len(events)-1].Step > 2 {
			t.Errorf("of %d bytes there are %v, %v", size, events, err)
		}
		if info, _ := os.Stat(path); size == len(text) && info.Size() != int64(len(text)-last) {
			t.Errorf("%d bytes are left of %d", info.Size(), size)
		}
		next, err := Create(dir, at.Add(-time.Hour), "a", 2)
		if err != nil || next.path <= path {
			t.Errorf("%s does not come after %s: %v", next.path, path, err)
		}
	}
}

// A file of somebody else is left as it is.
func TestCutLeavesOthers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, Prefix+"1.other")
	for _, text := range [][]byte{appendRecord(nil, scalar(9, "a", 1).encode()), appendRecord(nil, []byte{0xff})} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Cut(dir, func(Event) bool { return true }); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || len(got) != len(text) {
			t.Errorf("%d bytes are left of %d: %v", len(got), len(text), err)
		}
		if _, err := Read(path); !errors.Is(err, ErrCorrupt) {
			t.Errorf("got %v", err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Event{Time: at, Version: version}.encode())
	f.Add(Event{Time: at, Step: 3, Start: true}.encode())
	f.Add(scalar(1, "a/b", 2).encode())
	f.Add(Event{Values: []Value{{Tag: "h", Histogram: &Histogram{Num: 1, Limit: []float64{1}, Count: []float64{1}}}}}.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := decode(data); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Error(err)
		}
		nextRecord(data)
	})
}
