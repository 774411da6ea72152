package collector

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"actfleet/collector/dataset"
	"actfleet/collector/model"
	"actfleet/collector/model/modeltest"
	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store/mem"
	"actfleet/shard/tap"
)

// shots puts the same tokens before every prompt.
func shots(in *dataset.Input, n int) *dataset.Input {
	before := make([]int32, n)
	for t := range before {
		before[t] = int32(99 - t)
	}
	for i, ids := range in.IDs {
		in.IDs[i] = slices.Concat(before, ids)
	}
	return in
}

func TestSharedPrefix(t *testing.T) {
	nine := []int32{1, 2, 3, 4, 5, 6, 7, 8, 9}
	for name, c := range map[string]struct {
		want int
		ids  [][]int32
	}{
		"one is too long":   {0, [][]int32{slices.Repeat(nine, 3), nine}},
		"nothing in common": {0, [][]int32{nine, slices.Concat([]int32{2}, nine)}},
		"too little":        {0, [][]int32{nine[:8], nine[:8]}},
		"one token is left": {8, [][]int32{nine, nine}},
		"of all":            {8, [][]int32{slices.Concat(nine, nine), nine, slices.Concat(nine, nine)}},
		"until they differ": {9, [][]int32{slices.Concat(nine, []int32{1, 2}), slices.Concat(nine, []int32{3, 2})}},
		"one prompt":        {0, [][]int32{slices.Concat(nine, nine)}},
	} {
		if got := sharedPrefix(c.ids, 26); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// counted counts what the model was asked for.
type counted struct {
	*modeltest.Fake
	prefixes, tokens atomic.Int64
}

func (c *counted) Prefix(ctx context.Context, r model.Request) (*model.Prefix, error) {
	c.prefixes.Add(1)
	return c.Fake.Prefix(ctx, r)
}

func (c *counted) Forward(ctx context.Context, r model.Request) ([][]float32, error) {
	for _, ids := range r.IDs {
		c.tokens.Add(int64(len(ids)))
	}
	return c.Fake.Forward(ctx, r)
}

// Whichever positions are kept, rows of a shared beginning hold what they hold without sharing, and it is computed
// once for all units that have it.
func TestSharedPrefixGivesTheSameRows(t *testing.T) {
	for _, rule := range []string{"all", "last", "every:7", "pos:3", "pos:-30"} {
		t.Run(rule, func(t *testing.T) {
			st, in := mem.New(time.Now), shots(prompts(200), 20)
			m := &counted{Fake: modeltest.NewFake()}
			cfg := config(t, st, m, ask(t, rule), in)
			if _, err := Collect(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			if _, _, err := run.Finish(t.Context(), st, cfg.Plan); err != nil {
				t.Fatal(err)
			}
			wantClean(t, st)
			wantValues(t, st, cfg.Plan, in)
			var own int64
			for row, ids := range in.IDs {
				own += int64(len(ids))
				if row != 50 { // alone in its unit
					own -= 20
				}
			}
			if m.tokens.Load() != own || m.prefixes.Load() > 2 { // twice where one unit keeps some of it and another none
				t.Errorf("%d tokens and %d prefixes went through the model, want %d tokens", m.tokens.Load(), m.prefixes.Load(), own)
			}
		})
	}
}

// What goes wrong at a position of the prefix is treated as anywhere else.
func TestSharedPrefixSpoilt(t *testing.T) {
	m := modeltest.NewFake()
	value := float32(math.NaN())
	m.Spoil = func(at tap.Tap, _ int32, pos, d int, x float32) float32 {
		if at == (tap.Tap{Site: tap.FC2, Layer: 2}) && pos == 11 && d == 3 {
			return value
		}
		return x
	}
	in := shots(prompts(130), 20)
	_, err := Collect(t.Context(), config(t, mem.New(time.Now), m, ask(t, "all"), in))
	if !errors.Is(err, ErrNonFinite) || !strings.Contains(err.Error(), "position 11: fc2 of layer 2, channel 3 is NaN") {
		t.Errorf("error %v does not name the value", err)
	}
	value = 70000
	st := mem.New(time.Now)
	if _, err := Collect(t.Context(), config(t, st, m, ask(t, "all"), in)); err != nil {
		t.Fatal(err)
	}
	r, err := shard.Open(t.Context(), st, run.UnitKey(0))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, v := range r.Schema().Vectors {
		if want := v.Name == "fc2_2"; (v.Dtype == shard.F32) != want {
			t.Errorf("%s is %v", v.Name, v.Dtype)
		}
	}
	wantClean(t, st)
}

func TestPrefixFails(t *testing.T) {
	m, broken := modeltest.NewFake(), errors.New("broken")
	m.Before = func(context.Context) error { return broken }
	st := mem.New(time.Now)
	if _, err := Collect(t.Context(), config(t, st, m, ask(t, "last"), shots(prompts(130), 20))); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	wantNotCommitted(t, st, 0, 1, 2, 3)
}

// A real model: the rows of a run whose prompts share 40 tokens are those of whole prompts, to 1e-5 of the RMS.
func TestSharedPrefixOfAModel(t *testing.T) {
	m, err := model.Load("../examples/tiny-phi")
	if err != nil {
		t.Fatal(err)
	}
	in := shots(prompts(130), 40)
	a := ask(t, "every:9")
	a.Dtype = "f32"
	st := mem.New(time.Now)
	cfg := config(t, st, m, a, in)
	if _, err := Collect(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	r, err := shard.Open(t.Context(), st, run.UnitKey(0))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cols, err := r.Scalars(0, "row", "pos")
	if err != nil {
		t.Fatal(err)
	}
	rows, pos := cols[0].([]int64), cols[1].([]int32)
	for _, v := range cfg.Plan.Vectors {
		column, _ := r.VectorIndex(v.Name)
		raw, err := r.Vector(0, column, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(rows)*v.Width)
		shard.UnpackF32(got, raw)
		for i := 0; i < len(rows); i += 17 {
			want := whole(t, m, v.Name, in.IDs[rows[i]], int(pos[i]))
			if off := modeltest.MaxRelRMS(got[i*v.Width:(i+1)*v.Width], want); off > 2e-5 {
				t.Errorf("%s of row %d at %d is off by %.1e of its RMS", v.Name, rows[i], pos[i], off)
			}
		}
	}
}

// whole is one vector of a pass over one whole prompt.
func whole(t *testing.T, m *model.Model, column string, ids []int32, pos int) (out []float32) {
	t.Helper()
	at, _, _ := tap.ParseColumn(column)
	emit := func(_ int, v model.View) error { out = slices.Clone(v.Row(0, pos)); return nil }
	if _, err := m.Forward(t.Context(), model.Request{IDs: [][]int32{ids}, Taps: []tap.Tap{at}, Emit: emit}); err != nil {
		t.Fatal(err)
	}
	return out
}
