package parity

import (
	"slices"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/steer"
	"actfleet/shard/tap"
)

// What greedy generation adds to a batch of prompts is what transformers adds to each, for each way in which a model knows
// positions. TestHuggingFace says what it needs; without that, continued.json stands in, for every family.
func TestHuggingFaceGoesOn(t *testing.T) {
	python := withTransformers(t)
	for _, name := range []string{"gemma3", "falcon-rw", "opt", "deepseek-v3", "phi3", "llama-dynamic"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, dir := load(t, name)
			prompts, from := Prompts(5, m.Info().Vocab, m.Info().MaxPositions), t.TempDir()
			a := ask{Prompts: prompts, Places: placesOf(m, nil), Threads: 1, Continue: room(m.Info(), prompts)}
			if _, err := reference(t.Context(), python, dir, a, from); err != nil {
				t.Fatal(err)
			}
			got, err := m.Generate(t.Context(), model.Generation{IDs: prompts, Most: continuedTokens})
			if err != nil {
				t.Fatal(err)
			}
			for p, want := range continued(t, from) {
				if !slices.Equal(got[p].IDs, want) {
					t.Errorf("prompt %d goes on with %v, transformers with %v", p, got[p].IDs, want)
				}
			}
		})
	}
}

// A vector that is added at a tap changes what is generated as a forward hook of transformers does that adds it to what the
// module gives.
func TestHuggingFaceSteers(t *testing.T) {
	python := withTransformers(t)
	m, dir := load(t, "llama-3")
	at := tap.Tap{Site: tap.Resid, Layer: 1}
	prompts, from, vector := Prompts(4, m.Info().Vocab, m.Info().MaxPositions), t.TempDir(), make([]float32, m.Width(at))
	for i := range vector {
		vector[i] = float32(i%5) - 2
	}
	a := ask{Prompts: prompts, Places: placesOf(m, nil), Threads: 1, Continue: room(m.Info(), prompts), Add: map[string][]float32{"model.layers.1": vector}}
	if _, err := reference(t.Context(), python, dir, a, from); err != nil {
		t.Fatal(err)
	}
	taps, replace, err := steer.Replace([]steer.Change{{Tap: at, Direction: vector, Amount: 1}}, m.Width)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := m.Generate(t.Context(), model.Generation{IDs: prompts, Most: continuedTokens})
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.Generate(t.Context(), model.Generation{IDs: prompts, Most: continuedTokens, Taps: taps, Replace: replace})
	if err != nil {
		t.Fatal(err)
	}
	changed := false
	for p, want := range continued(t, from) {
		changed = changed || !slices.Equal(got[p].IDs, plain[p].IDs)
		if !slices.Equal(got[p].IDs, want) {
			t.Errorf("prompt %d goes on with %v, transformers with a hook with %v", p, got[p].IDs, want)
		}
	}
	if !changed {
		t.Error("the vector changes nothing")
	}
}
