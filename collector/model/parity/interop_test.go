package parity

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"actfleet/collector/model"
	"actfleet/internal/safetensors"
)

// withTransformers is ACTFLEET_PYTHON, a Python with torch and transformers; a test is skipped without one, and what
// transformers once computed (ref.safetensors, continued.json) stands in.
func withTransformers(t *testing.T) string {
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

// TestHuggingFace compares every fixture with transformers itself, on prompts the committed references do not have.
func TestHuggingFace(t *testing.T) {
	python := withTransformers(t)
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
			equal(t, r)
		})
	}
}

func equal(t *testing.T, r Report) {
	t.Helper()
	if worst := r.Worst(); !r.Equal {
		t.Errorf("%s is off by %.1e in prompt %d", worst.Name(), worst.Error, worst.Prompt)
	} else {
		t.Logf("largest error %.1e: %s", worst.Error, worst.Name())
	}
}

// TestHuggingFaceTies is a router that gives its experts the same score in pairs: the same ones are chosen as by
// transformers, though what it chooses with (torch.topk) leaves open which.
func TestHuggingFaceTies(t *testing.T) {
	python := withTransformers(t)
	from, dir := "../modeltest/testdata/qwen3-moe", t.TempDir()
	twins(t, from, dir, "model.layers.1.mlp.gate.weight")
	m, err := model.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), m, dir, python, Prompts(6, m.Info().Vocab, m.Info().MaxPositions))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, r)
}

// twins copies a checkpoint with each even row of a matrix in the place of the next one too.
func twins(t *testing.T, from, to, matrix string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(filepath.Join(from, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []safetensors.Tensor
	for _, info := range f.Tensors() {
		raw, err := f.Bytes(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Name == matrix {
			raw = slices.Clone(raw)
			for n, at := len(raw)/int(info.Shape[0]), 0; at+2*n <= len(raw); at += 2 * n {
				copy(raw[at+n:at+2*n], raw[at:])
			}
		}
		out = append(out, safetensors.Tensor{Name: info.Name, Dtype: info.Dtype, Shape: info.Shape, Data: raw})
	}
	if err := safetensors.Write(filepath.Join(to, "model.safetensors"), out, nil); err != nil {
		t.Fatal(err)
	}
}
