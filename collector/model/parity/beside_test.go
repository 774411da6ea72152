package parity

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"actfleet/collector/model"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// off is a model of which one tap is changed.
type off struct {
	*model.Model
	at tap.Tap
	by float32
}

func (o off) Forward(ctx context.Context, r model.Request) ([][]float32, error) {
	emit := r.Emit
	r.Emit = func(i int, v model.View) error {
		if r.Taps[i] == o.at {
			v.Data = slices.Clone(v.Data) // the network goes on with what it computed
			v.Data[0] += o.by
		}
		return emit(i, v)
	}
	return o.Model.Forward(ctx, r)
}

// A checkpoint is equal to itself, off where it is off, and near in bf16.
func TestBeside(t *testing.T) {
	dir := filepath.Join("..", "modeltest", "testdata", "phi-a")
	m, err := model.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	prompts := Prompts(2, m.Info().Vocab, m.Info().MaxPositions)
	at := tap.Tap{Site: tap.FC2, Layer: 1}
	for _, by := range []float32{0, 1, float32(math.NaN())} {
		taps, last, err := Beside(t.Context(), off{m, at, by}, m, prompts)
		if by != by {
			if !errors.Is(err, ErrNotFinite) {
				t.Errorf("a NaN: %v", err)
			}
			continue
		}
		if err != nil || last.Error != 0 {
			t.Fatalf("%v, logits off by %g", err, last.Error)
		}
		for _, c := range taps {
			if here := c.Site == at.Site && c.Layer == at.Layer; (c.ByRMS > 0) != (here && by > 0) {
				t.Errorf("%s is off by %g where %s was changed by %g", c.Name(), c.ByRMS, at, by)
			}
		}
	}
	low, err := model.LoadOn(dir, model.Target{Compute: torch.BF16})
	if err != nil {
		t.Fatal(err)
	}
	taps, _, err := Beside(t.Context(), low, m, prompts)
	if err != nil {
		t.Fatal(err)
	}
	if c := taps[len(taps)-1]; c.ByRMS < 1e-4 || c.ByRMS > .3 {
		t.Errorf("in bf16 %s is off by %g of its RMS", c.Name(), c.ByRMS)
	}
}
