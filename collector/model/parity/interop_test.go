package parity

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"actfleet/collector/model"
)

// TestHuggingFace compares every fixture with transformers itself, on prompts the committed references do
// not have. It needs ACTFLEET_PYTHON, a Python with torch and transformers; without the two it is skipped, and
// what transformers once computed (ref.safetensors) stands in.
func TestHuggingFace(t *testing.T) {
	python := huggingFace(t)
	models, err := filepath.Glob("../modeltest/testdata/*")
	if err != nil || len(models) == 0 {
		t.Fatal(models, err)
	}
	t.Setenv("OMP_NUM_THREADS", "1") // most of the time goes into Python's imports: one process a core
	for _, dir := range models {
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _ := load(t, name)
			r, err := Run(t.Context(), m, dir, python, Prompts(6, m.Info().Vocab, m.Info().MaxPositions))
			if err != nil {
				t.Fatal(err)
			}
			if worst := r.Worst(); !r.Equal {
				t.Errorf("%s is off by %.1e in prompt %d", worst.Name(), worst.Error, worst.Prompt)
			} else {
				t.Logf("largest error %.1e: %s", worst.Error, worst.Name())
			}
		})
	}
}

// huggingFace is a Python with transformers; without one the test is skipped.
func huggingFace(t *testing.T) string {
	t.Helper()
	python := os.Getenv("ACTFLEET_PYTHON")
	if python == "" {
		t.Skip("ACTFLEET_PYTHON is not set")
	}
	if out, err := exec.Command(python, "-c", "import torch, transformers, safetensors").CombinedOutput(); err != nil {
		t.Skipf("%s has no torch or transformers: %.200s", python, out)
	}
	return python
}

// What greedy generation adds to a batch of prompts is what transformers adds to each, for each way in which a model knows
// positions. TestHuggingFace says what it needs; without that, continued.json stands in, for every family.
func TestHuggingFaceGoesOn(t *testing.T) {
	python := huggingFace(t)
	for _, name := range []string{"gemma3", "falcon-rw", "opt", "deepseek-v3", "phi3", "llama-dynamic"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, dir := load(t, name)
			prompts, from := Prompts(5, m.Info().Vocab, m.Info().MaxPositions), t.TempDir()
			if _, err := reference(t.Context(), python, dir, ask{Prompts: prompts, Places: placesOf(m, nil), Threads: 1, Continue: room(m.Info(), prompts)}, from); err != nil {
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
