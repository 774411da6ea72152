package stream_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"actfleet/trainer/stream"
)

// Vectors of several columns, of other widths and types, stand side by side in a row, in the
// order of one column alone.
func TestSeveralColumns(t *testing.T) {
	run := made(700, 7, 3, 8)
	src := []stream.Source{source(t, run)}
	cfg := stream.Config{Column: "fc2_3", Batch: 300, ShuffleWindow: 2, Epochs: 1, Seed: 4}
	one, err := stream.Open(context.Background(), src, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	cfg.Beside = []string{"resid_0"}
	two, err := stream.Open(context.Background(), src, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	if two.Width() != 11 || !slices.Equal(two.Widths(), []int{8, 3}) {
		t.Fatalf("widths %v of %d", two.Widths(), two.Width())
	}
	for {
		a, errA := one.Next(context.Background())
		b, errB := two.Next(context.Background())
		if errors.Is(errA, io.EOF) && errors.Is(errB, io.EOF) {
			break
		}
		if errA != nil || errB != nil || !slices.Equal(a.Keys, b.Keys) || b.D != 11 {
			t.Fatal(errA, errB, "or other rows")
		}
		want := make([]float32, 3)
		for i, k := range b.Keys {
			run.Fill(0, k.Prompt, k.Pos, want)
			if row := b.X[i*11 : (i+1)*11]; !slices.Equal(row[:8], a.X[i*8:(i+1)*8]) || !slices.Equal(row[8:], want) {
				t.Fatalf("row %v: %v", k, row)
			}
		}
	}
}
