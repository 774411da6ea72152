package model

import (
	"math"
	"slices"
	"testing"

	"actfleet/shard/tap"
)

// Every tap can be replaced: writing back what is there changes nothing, writing zeros changes the logits; the
// readout of the last residual stream is the logits, and Emit sees what Replace left.
func TestReplace(t *testing.T) {
	m, err := Load("../../examples/tiny-phi")
	if err != nil {
		t.Fatal(err)
	}
	ids := [][]int32{{5, 9, 300, 17}, {8, 2}}
	last := tap.Tap{Site: tap.Resid, Layer: m.Info().Layers - 1}
	run := func(at tap.Tap, replace func(v View)) (logits [][]float32, states []float32) {
		t.Helper()
		r := Request{IDs: ids, Taps: []tap.Tap{at, last}, Logits: true}
		if at == last {
			r.Taps = r.Taps[:1]
		}
		r.Emit = func(i int, v View) error {
			if r.Taps[i] == last {
				states = slices.Clone(v.Row(0, 3))
			}
			return nil
		}
		r.Replace = func(i int, v View) error {
			if i == 0 && replace != nil {
				replace(v)
			}
			return nil
		}
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
		same, states := run(at, func(v View) { copy(v.Data, slices.Clone(v.Data)) })
		if !slices.Equal(same[0], want[0]) || !slices.Equal(same[1], want[1]) {
			t.Errorf("%s: writing back the same values changes the logits", at.Column(""))
		}
		read, err := m.Readout(states, 1)
		if err != nil || furthest(read, want[0]) > 1e-4 {
			t.Errorf("%s: readout differs from the logits by %g, %v", at.Column(""), furthest(read, want[0]), err)
		}
		zero, _ := run(at, func(v View) { clear(v.Data) })
		if furthest(zero[0], want[0]) < 1e-3 {
			t.Errorf("%s: zeros change nothing", at.Column(""))
		}
	}
	if zero, states := run(last, func(v View) { clear(v.Data) }); furthest(zero[0], want[0]) < 1e-3 || furthest(states, make([]float32, len(states))) != 0 {
		t.Error("the last residual stream cannot be replaced")
	}
}

// What attention reads can be replaced without a change of what the MLP beside it reads, and the other way round, though
// they are one tensor; what both read together is the residual stream, and that is another.
func TestReplaceTouchesNothingElse(t *testing.T) {
	m, err := Load("../../examples/tiny-phi")
	if err != nil {
		t.Fatal(err)
	}
	taps := []tap.Tap{{Site: tap.AttnIn, Layer: 1}, {Site: tap.OutProj, Layer: 1}, {Site: tap.MLPIn, Layer: 1}, {Site: tap.FC2, Layer: 1}}
	run := func(zeroed int) (seen [][]float32) {
		seen = make([][]float32, len(taps))
		r := Request{IDs: [][]int32{{5, 9, 300, 17}}, Taps: taps}
		r.Emit = func(i int, v View) error { seen[i] = slices.Clone(v.Data); return nil }
		r.Replace = func(i int, v View) error {
			if i == zeroed {
				clear(v.Data)
			}
			return nil
		}
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

func furthest(a, b []float32) (most float64) {
	for i := range a {
		most = math.Max(most, math.Abs(float64(a[i]-b[i])))
	}
	return most
}
