package main

import (
	"os"
	"path/filepath"
	"testing"

	"actfleet/internal/torch/fakegpu"
)

// The command on GPUs, the model on one, on two each, split over two: whole runs with the same bytes.
func TestFakeGPUCollects(t *testing.T) {
	fakegpu.Open(t)
	var first []byte
	for _, device := range []string{"cuda:0", "cuda:1,cuda:2", "cuda:0+cuda:3", "auto"} {
		out := filepath.Join(t.TempDir(), "run")
		wantOK(t, "collect", "--model", tinyModel, "--data", tinyData, "--out", out, "--limit", "60", "--unit-prompts", "60", "--tokens", "all", "--choices", "no,yes", "--device", device)
		wantOK(t, "check", out)
		shards, _ := filepath.Glob(filepath.Join(out, "acts", "*.parquet"))
		if len(shards) != 1 {
			t.Fatalf("--device %s: shards %v", device, shards)
		}
		got, err := os.ReadFile(shards[0])
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = got
		}
		if string(got) != string(first) {
			t.Errorf("--device %s: other bytes than on one", device)
		}
	}
}

func TestFakeGPUDoctor(t *testing.T) {
	fakegpu.Open(t)
	var found []finding
	decode(t, wantOK(t, "doctor", "--json", "--dir", t.TempDir()), &found)
	for _, f := range found {
		if f.What == "devices" && (len(f.GPUs) != 4 || f.GPUs[3] != gpuFound{"cuda:3", "fakegpu", "9.0", 1, 8 << 30, 8 << 30}) {
			t.Errorf("%+v", f)
		}
	}
}
