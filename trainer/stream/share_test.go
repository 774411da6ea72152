package stream

import (
	"errors"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The parts of a batch that several streams hand out are the batch, and end at the same cursor.
func TestShare(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		units, cfg, n := drawUnits(rt), drawConfig(rt), rapid.IntRange(1, 4).Draw(rt, "parts")
		whole := open(t, units, cfg)
		defer closeStream(t, whole)
		var parts []*Stream
		for i := range n {
			s := open(t, units, cfg)
			defer closeStream(t, s)
			if err := s.Share(i, n); err != nil {
				t.Fatal(err)
			}
			parts = append(parts, s)
		}
		for {
			want, end := whole.Next(t.Context())
			var x []float32
			for _, s := range parts {
				b, err := s.Next(t.Context())
				if !errors.Is(err, end) {
					t.Fatalf("a part ends with %v, the whole with %v", err, end)
				}
				if end != nil {
					continue
				}
				if !slices.Equal(b.Keys, want.Keys) || s.Cursor() != whole.Cursor() || b.N > 0 && b.From != len(x)/b.D {
					t.Fatalf("a part from %d on is of other rows, or ends at %+v, not %+v", b.From, s.Cursor(), whole.Cursor())
				}
				x = append(x, b.X...)
			}
			if end != nil {
				if !errors.Is(end, io.EOF) {
					t.Fatal(end)
				}
				return
			}
			if !slices.Equal(x, want.X) {
				t.Fatal("the parts together are not the batch")
			}
		}
	})
}
