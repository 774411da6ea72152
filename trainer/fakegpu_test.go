package trainer

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/internal/torch/fakegpu"
	"actfleet/trainer/coder"
)

// A training on a GPU that is interrupted and resumed ends in the bytes of one that is not, and measures as one on the
// CPU does.
func TestFakeGPUResumes(t *testing.T) {
	src := made(t)
	for _, kind := range append([]string{coder.SAE}, slices.Sorted(maps.Keys(families))...) {
		t.Run(kind, func(t *testing.T) {
			fakegpu.Open(t)
			onGPU := func(dir string) Job {
				j := archJob(t, kind, dir, src)
				j.Device, j.Compute, j.Recipe.Loop.Steps, j.Recipe.Loop.CheckpointSteps = "cuda:1", "f32", 12, 5
				return j
			}
			whole := onGPU(filepath.Join(t.TempDir(), "whole"))
			want, err := Train(t.Context(), whole)
			if err != nil {
				t.Fatal(err)
			}
			parts := onGPU(filepath.Join(t.TempDir(), "parts"))
			if err := interrupted(t, []Job{parts}, 2); !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
			parts.Resume = true
			if _, err := Train(t.Context(), parts); err != nil {
				t.Fatal(err)
			}
			if weights(t, whole.Dir) != weights(t, parts.Dir) {
				t.Error("resumed, it ended in other weights")
			}
			host := onGPU(filepath.Join(t.TempDir(), "host"))
			host.Device = "cpu"
			got, err := Train(t.Context(), host)
			if err != nil {
				t.Fatal(err)
			}
			if a, b := want.Eval["fvu"], got.Eval["fvu"]; a > 1.02*b+1e-3 || b > 1.02*a+1e-3 {
				t.Errorf("fvu is %.4f on the GPU and %.4f on the CPU", a, b)
			}
		})
	}
}

// What cannot train on a GPU says so when one is asked for.
func TestFakeGPURefuses(t *testing.T) {
	fakegpu.Open(t)
	j := job(t, coder.VQ, t.TempDir(), made(t))
	j.Device = "cuda"
	if _, err := Train(t.Context(), j); err == nil || !strings.Contains(err.Error(), "is trained on the CPU") {
		t.Errorf("a tokenizer: %v", err)
	}
}
