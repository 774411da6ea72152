package model

import (
	"math"
	"slices"
	"testing"

	"actfleet/shard/tap"
)

// Every tap can be patched: writing back what is there changes nothing, writing zeros changes the logits; the
// readout of the last residual stream is the logits, and Emit sees what the patch left.
func TestPatch(t *testing.T) {
	m, err := Load("../../examples/tiny-phi")
	if err != nil {
		t.Fatal(err)
	}
	ids := [][]int32{{5, 9, 300, 17}, {8, 2}}
	last := tap.Tap{Site: tap.Resid, Layer: m.Info().Layers - 1}
	run := func(at tap.Tap, replace func(rows []float32)) (logits [][]float32, states []float32) {
		t.Helper()
		r := Request{IDs: ids, Taps: []tap.Tap{last}, Logits: true}
		r.Emit = func(i int, v View) error {
			states = slices.Clone(v.Row(0, 3))
			return nil
		}
		r.Patch = &Patch{Taps: []tap.Tap{at}, At: []int32{0, 1, 2, 3, 4, 5}, With: func(_ int, rows Rows) (bool, error) {
			if replace != nil {
				replace(rows.F32)
			}
			return replace != nil, nil
		}}
		logits, err := m.Forward(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return logits, states
	}
	want, _ := run(last, nil)
	for _, site := range tap.Every {
		at := tap.Tap{Site: site, Layer: 1}
		switch site {
		case tap.Embed:
			at.Layer = 0
		case tap.Final:
			at.Layer = last.Layer
		case tap.ResidMid, tap.Router, tap.Experts:
			continue // Phi has none
		}
		same, states := run(at, func([]float32) {})
		if !slices.Equal(same[0], want[0]) || !slices.Equal(same[1], want[1]) {
			t.Errorf("%s: writing back the same values changes the logits", at.Column(""))
		}
		read, err := m.Readout(states, 1)
		if err != nil || furthest(read, want[0]) > 1e-4 {
			t.Errorf("%s: readout differs from the logits by %g, %v", at.Column(""), furthest(read, want[0]), err)
		}
		zero, _ := run(at, func(rows []float32) { clear(rows) })
		if furthest(zero[0], want[0]) < 1e-3 {
			t.Errorf("%s: zeros change nothing", at.Column(""))
		}
	}
	if zero, states := run(last, func(rows []float32) { clear(rows) }); furthest(zero[0], want[0]) < 1e-3 || furthest(states, make([]float32, len(states))) != 0 {
		t.Error("the last residual stream cannot be replaced")
	}
}

// What attention reads can be replaced without a change of what the MLP beside it reads, and the other way round, though
// they are one tensor; what both read together is the residual stream, and that is another.
func TestPatchTouchesNothingElse(t *testing.T) {
	m, err := Load("../../examples/tiny-phi")
	if err != nil {
		t.Fatal(err)
	}
	taps := []tap.Tap{{Site: tap.AttnIn, Layer: 1}, {Site: tap.OutProj, Layer: 1}, {Site: tap.MLPIn, Layer: 1}, {Site: tap.FC2, Layer: 1}}
	run := func(zeroed int) (seen [][]float32) {
		seen = make([][]float32, len(taps))
		r := Request{IDs: [][]int32{{5, 9, 300, 17}}, Taps: taps}
		r.Emit = func(i int, v View) error { seen[i] = slices.Clone(v.Data); return nil }
		r.Patch = &Patch{Taps: taps, At: []int32{0, 1, 2, 3}, With: func(i int, rows Rows) (bool, error) {
			if i == zeroed {
				clear(rows.F32)
			}
			return i == zeroed, nil
		}}
		if _, err := m.Forward(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		return seen
	}
	want, attn, mlp := run(-1), run(0), run(2)
	if slices.Equal(attn[1], want[1]) || !slices.Equal(attn[2], want[2]) || !slices.Equal(attn[3], want[3]) {
		t.Error("replacing attn_in changes the MLP, or nothing")
	}
	if slices.Equal(mlp[3], want[3]) || !slices.Equal(mlp[1], want[1]) {
		t.Error("replacing mlp_in changes attention, or nothing")
	}
}

// Only the rows named are patched: what their prompt computes before them stays, and so do other prompts.
func TestPatchOfSomeRows(t *testing.T) {
	m, err := Load("../../examples/tiny-phi")
	if err != nil {
		t.Fatal(err)
	}
	last := tap.Tap{Site: tap.Resid, Layer: m.Info().Layers - 1}
	run := func(wrote bool) (states View) {
		r := Request{IDs: [][]int32{{5, 9, 300, 17}, {8, 2, 4}}, Taps: []tap.Tap{last}}
		r.Emit = func(_ int, v View) error {
			states = v
			states.Data = slices.Clone(v.Data)
			return nil
		}
		r.Patch = &Patch{Taps: []tap.Tap{{Site: tap.FC2, Layer: 1}}, At: []int32{5, 2}, With: func(_ int, rows Rows) (bool, error) {
			if rows.Len() != 2 {
				t.Errorf("%d rows", rows.Len())
			}
			clear(rows.F32[rows.D:]) // position 2 of the first prompt
			return wrote, nil
		}}
		if _, err := m.Forward(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		return states
	}
	want, got := run(false), run(true)
	for b, n := range []int{4, 3} {
		for pos := range n {
			if same, patched := slices.Equal(got.Row(b, pos), want.Row(b, pos)), b == 0 && pos >= 2; same == patched {
				t.Errorf("prompt %d, position %d: unchanged is %v", b, pos, same)
			}
		}
	}
	for _, at := range []int32{4, 1} { // of 2 × 2 positions, the second of which is none of the first prompt's
		r := Request{IDs: [][]int32{{5}, {5, 9}}, Patch: &Patch{Taps: []tap.Tap{last}, At: []int32{at}}}
		if _, err := m.Forward(t.Context(), r); err == nil {
			t.Errorf("row %d, behind the end, was patched", at)
		}
	}
}

func furthest(a, b []float32) (most float64) {
	for i := range a {
		most = math.Max(most, math.Abs(float64(a[i]-b[i])))
	}
	return most
}
