package main

import (
	"errors"
	"strings"
	"testing"

	"actfleet/internal/torch"
	"actfleet/shard/run"
)

func TestTargets(t *testing.T) {
	groups, kind, err := targetOptions{device: "cpu+cpu,cpu"}.groups()
	if err != nil || kind != "cpu" || len(groups) != 2 || len(groups[0]) != 2 || len(groups[1]) != 1 {
		t.Errorf("%v, %s, %v", groups, kind, err)
	}
	for o, says := range map[targetOptions]string{
		{device: "tpu", compute: "f32"}:         `"tpu"`,
		{device: "cpu", compute: "f8"}:          "--compute f8",
		{device: "cpu", compute: "tf32"}:        "tf32 is for GPUs",
		{device: "cuda:9999", compute: "f32"}:   "CUDA devices",
		{device: "cpu,cuda:99", compute: "f32"}: "cuda:99",
	} {
		if _, err := o.load("nowhere"); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want a usage error that says %q", o, err, says)
		}
	}
}

// A joining node computes as the run's plan says.
func TestTargetOfARun(t *testing.T) {
	o, err := targetOptions{device: "auto", compute: "f32"}.as(run.Plan{Device: "cpu", Compute: "bf16"})
	if err != nil || o.device != "cpu" || o.compute != "bf16" {
		t.Errorf("%+v, %v", o, err)
	}
	if torch.CUDA() > 0 {
		t.Skip("the rest is about a machine without a GPU")
	}
	for _, device := range []string{"auto", "cpu"} {
		if _, err := (targetOptions{device: device}).as(run.Plan{Device: "cuda", Compute: "f32"}); !errors.Is(err, errUsage) {
			t.Errorf("--device %s in a run on cuda: %v", device, err)
		}
	}
}
