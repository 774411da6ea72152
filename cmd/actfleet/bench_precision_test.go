package main

import (
	"testing"

	"actfleet/internal/torch/fakegpu"
)

// fp32 here is fp32 there; bf16 is farther, and every checkpoint and precision has a line.
func TestBenchPrecision(t *testing.T) {
	var lines []precisionLine
	decode(t, here(t, "bench", "precision", "--model", tinyModel, "--model", "../../collector/model/modeltest/testdata/llama-3", "--device", "cpu", "--prompts", "2", "--json"), &lines)
	if len(lines) != 4 {
		t.Fatalf("%+v", lines)
	}
	for i, l := range lines {
		if exact := l.Compute == "f32"; exact != (i%2 == 0) || exact != (l.Taps == 0) || exact != (l.Logits == 0) || l.Device != "cpu" {
			t.Errorf("%+v", l)
		}
	}
	wantRefusal(t, exitUsage, []string{"needs --model"}, "bench", "precision")
}

func TestFakeGPUBenchPrecision(t *testing.T) {
	fakegpu.Open(t)
	var lines []precisionLine
	decode(t, here(t, "bench", "precision", "--model", tinyModel, "--device", "cuda:0", "--prompts", "2", "--json"), &lines)
	if len(lines) != 2 || lines[0].Device != "cuda" || lines[0].Taps > 1e-4 || lines[1].Taps <= lines[0].Taps {
		t.Errorf("%+v", lines)
	}
}
