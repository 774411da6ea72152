package main

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/internal/torch"
	"actfleet/internal/torch/fakegpu"
	"actfleet/shard/run"
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
		gpuPlan(t, out)
		if first == nil {
			first = got
		}
		if string(got) != string(first) {
			t.Errorf("--device %s: other bytes than on one", device)
		}
	}
}

// Loss recovered is what it is on the CPU, on one GPU and on a model split over two.
func TestFakeGPUEvaluates(t *testing.T) {
	fakegpu.Open(t)
	dir := t.TempDir()
	run, sae := filepath.Join(dir, "run"), filepath.Join(dir, "sae")
	wantOKHere(t, "collect", "--model", tinyModel, "--data", tinyData, "--out", run, "--limit", "100", "--tokens", "all", "--sites", "fc2", "--layers", "1")
	wantOKHere(t, "train", "sae", "--from", run, "--site", "fc2", "--layers", "1", "--out", sae, "--set", "steps=10", "--set", "width=256", "--set", "batch=128")
	measure := func(device string) map[string]float64 {
		var coders []measured
		decode(t, wantOKHere(t, "eval", sae, "--from", run, "--model", tinyModel, "--prompts", "6", "--device", device, "--json"), &coders)
		return coders[0].Metrics
	}
	want := measure("cpu")
	for _, device := range []string{"auto", "cuda:2+cuda:1"} {
		got := measure(device)
		for _, name := range []string{"ce_clean", "ce_coder", "kl_coder"} {
			if off := math.Abs(got[name] - want[name]); want[name] == 0 || off > 1e-3*math.Abs(want[name]) {
				t.Errorf("--device %s: %s is %g, on the CPU %g", device, name, got[name], want[name])
			}
		}
	}
	if ops, _ := fakegpu.Count("op"); ops == 0 {
		t.Error("the GPU computed nothing")
	}
	wantRefusal(t, exitUsage, []string{"cuda:0,cuda:1", "replicas", "cuda:0+cuda:1"}, "eval", sae, "--from", run, "--model", tinyModel, "--device", "cuda:0,cuda:1")
	wantRefusal(t, exitUsage, []string{"cuda:9", "4 CUDA devices"}, "check", "--parity", tinyModel, "--python", os.Getenv("HOME"), "--device", "cuda:9")
}

// A GPU with too little memory for the model is named with what it has, and one that is not there with those that are.
func TestFakeGPUCannotHoldTheModel(t *testing.T) {
	fakegpu.Open(t)
	fakegpu.Limit(64 << 10)
	for _, device := range []string{"cuda:3", "cuda:1,cuda:3"} {
		o := targetOptions{device: device, compute: "f32"}
		_, err := o.load(tinyModel)
		if device == "cuda:3" {
			_, err = o.loadOne(tinyModel)
		}
		if !torch.OutOfMemory(err) {
			t.Fatalf("--device %s in 64 kB: %v", device, err)
		}
		wantWords(t, err.Error(), []string{"load model", "cuda:3 has", "free of", "--device cuda:0+cuda:1"})
	}
	_, err := targetOptions{device: "cuda:4", compute: "f32"}.load(tinyModel)
	if !errors.Is(err, errUsage) {
		t.Fatalf("a device that is not there: %v", err)
	}
	wantWords(t, err.Error(), []string{"cuda:4", "4 CUDA devices"})
}

func TestFakeGPUDoctor(t *testing.T) {
	fakegpu.Open(t)
	var found []finding
	decode(t, wantOK(t, "doctor", "--json", "--dir", t.TempDir()), &found)
	for _, f := range found {
		if f.What != "devices" {
			continue
		}
		if len(f.GPUs) != 4 || f.GPUs[3].ToHost <= 0 || f.GPUs[3].ToDevice <= 0 {
			t.Fatalf("%+v", f)
		}
		got := f.GPUs[3]
		got.ToHost, got.ToDevice = 0, 0
		if want := (gpuFound{Device: "cuda:3", Name: "fakegpu", Capability: "9.0", Multiprocessors: 1, Memory: 8 << 30, Free: 8 << 30}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// gpuPlan checks what the plan of a run on GPUs says of them.
func gpuPlan(t *testing.T, out string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(out, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	var p run.Plan
	decode(t, string(text), &p)
	if want := (run.GPU{Name: "fakegpu", Capability: "9.0", Libtorch: torch.Version()}); p.GPU == nil || *p.GPU != want || p.Compute != "bf16" || p.Device != "cuda" || p.BatchTokens <= 512 {
		t.Errorf("the plan says %+v, compute %s, device %s, %d tokens a batch", p.GPU, p.Compute, p.Device, p.BatchTokens)
	}
}

// A node with another kind of GPU is refused, one with the same goes on with the run's precision.
func TestFakeGPUJoins(t *testing.T) {
	fakegpu.Open(t)
	gpu := run.GPU{Name: "fakegpu", Capability: "9.0", Libtorch: torch.Version()}
	o, err := targetOptions{device: "auto", compute: "auto"}.as(run.Plan{Device: "cuda", Compute: "f32", GPU: &gpu})
	if err != nil || o.compute != "f32" || o.device != "cuda" {
		t.Errorf("%+v, %v", o, err)
	}
	gpu.Name = "another"
	if _, err := o.as(run.Plan{Device: "cuda", Compute: "f32", GPU: &gpu}); err == nil || !strings.Contains(err.Error(), "computed on another") {
		t.Errorf("on another GPU: %v", err)
	}
}
