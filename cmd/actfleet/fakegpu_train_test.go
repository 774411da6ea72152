package main

import (
	"os"
	"path/filepath"
	"testing"

	"actfleet/internal/torch/fakegpu"
)

// An autoencoder trains on any GPU to the same bytes, which are not those of the CPU.
func TestFakeGPUTrains(t *testing.T) {
	fakegpu.Open(t)
	from := collected(t, "--limit", "60", "--tokens", "all", "--sites", "fc2", "--layers", "1", "--device", "cpu")
	weights := map[string]string{}
	for _, device := range []string{"auto", "cuda:2", "cpu"} {
		out := filepath.Join(t.TempDir(), "sae")
		wantOK(t, "train", "sae", "--from", from, "--site", "fc2", "--layers", "1", "--out", out, "--device", device,
			"--set", "width=64", "--set", "k=4", "--set", "batch=64", "--set", "steps=6", "--set", "init_rows=200")
		got, err := os.ReadFile(filepath.Join(out, "coder.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		weights[device] = string(got)
	}
	if weights["auto"] != weights["cuda:2"] || weights["auto"] == weights["cpu"] {
		t.Errorf("the same weights on two GPUs: %t; on a GPU and the CPU: %t", weights["auto"] == weights["cuda:2"], weights["auto"] == weights["cpu"])
	}
}
