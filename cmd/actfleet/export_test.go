package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Architectures train from the command line, and leave it in the layouts that hold them.
func TestExport(t *testing.T) {
	t.Parallel()
	run, dir := small(t), t.TempDir()
	train := func(arch string) string {
		out := filepath.Join(dir, arch)
		wantOKHere(t, "train", "sae", "--from", run, "--site", "fc2", "--layers", "1", "--out", out, "--set", "arch="+arch,
			"--set", "steps=5", "--set", "width=64", "--set", "k=8", "--set", "batch=256")
		return out
	}
	coder := train("batchtopk")
	for _, f := range []string{"saelens", "dictionary_learning", "npz"} {
		out := filepath.Join(dir, "out", f)
		wantOKHere(t, "export", coder, "--format", f, "--out", out)
		if files, err := os.ReadDir(out); err != nil || len(files) == 0 {
			t.Errorf("%s: %v, %v", f, files, err)
		}
		wantRefusalHere(t, exitError, []string{"is there already"}, "export", coder, "--format", f, "--out", out)
	}
	out := filepath.Join(dir, "other")
	wantRefusalHere(t, exitError, []string{"sparsify has no place for batchtopk"}, "export", coder, "--format", "sparsify", "--out", out)
	wantRefusalHere(t, exitUsage, []string{"unknown format", "saelens"}, "export", coder, "--format", "onnx", "--out", out)
	topk := train("topk")
	wantOKHere(t, "export", topk, "--format", "sparsify", "--out", out)
	back := filepath.Join(dir, "back")
	wantOKHere(t, "import", out, "--out", back, "--column", "fc2_1")
	a, errA := os.ReadFile(filepath.Join(topk, "coder.safetensors"))
	b, errB := os.ReadFile(filepath.Join(back, "coder.safetensors"))
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("%v, %v, or the weights changed on the way", errA, errB)
	}
	wantOKHere(t, "eval", back, "--from", run)
	placed := filepath.Join(dir, "placed")
	wantOKHere(t, "export", topk, "--format", "saelens", "--out", placed, "--from", run)
	page := filepath.Join(dir, "page")
	wantRefusalHere(t, exitUsage, []string{"needs --from RUN"}, "export", topk, "--format", "neuronpedia", "--out", page)
	wantOKHere(t, "export", topk, "--format", "neuronpedia", "--out", page, "--from", run)
	if got, err := filepath.Glob(filepath.Join(page, "*", "1-fc2-64", "activations", "batch-0.jsonl.gz")); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	var cfg struct {
		Metadata map[string]any `json:"metadata"`
	}
	text, err := os.ReadFile(filepath.Join(placed, "cfg.json"))
	if err == nil {
		err = json.Unmarshal(text, &cfg)
	}
	for key, want := range map[string]any{"hook_name": "blocks.1.hook_mlp_out", "hf_hook_name": "model.layers.1.mlp.fc2", "prepend_bos": false} {
		if cfg.Metadata[key] != want {
			t.Errorf("%s is %v, want %v (%v)", key, cfg.Metadata[key], want, err)
		}
	}
	for _, key := range []string{"sae_lens_version", "model_name", "dataset_path", "context_size"} {
		if v := cfg.Metadata[key]; v == nil || v == "" || v == 0. {
			t.Errorf("%s is %v", key, v)
		}
	}
	wantRefusalHere(t, exitError, []string{"holds a training already"}, "import", out, "--out", back)
	wantRefusalHere(t, exitError, []string{"holds none of"}, "import", dir, "--out", filepath.Join(dir, "none"))
}
