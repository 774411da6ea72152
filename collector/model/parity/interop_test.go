package parity

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestHuggingFace compares every fixture with transformers itself, on prompts the committed references do
// not have. It needs ACTFLEET_PYTHON, a Python with torch and transformers; without the two it is skipped, and
// what transformers once computed (ref.safetensors) stands in.
func TestHuggingFace(t *testing.T) {
	python := os.Getenv("ACTFLEET_PYTHON")
	if python == "" {
		t.Skip("ACTFLEET_PYTHON is not set")
	}
	if out, err := exec.Command(python, "-c", "import torch, transformers, safetensors").CombinedOutput(); err != nil {
		t.Skipf("%s has no torch or transformers: %.200s", python, out)
	}
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
