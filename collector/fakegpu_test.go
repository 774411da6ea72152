package collector

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"actfleet/collector/dataset"
	"actfleet/collector/model"
	"actfleet/internal/torch"
	"actfleet/internal/torch/fakegpu"
	"actfleet/shard/run"
	"actfleet/shard/store/mem"
)

// wholeTaps is a model that brings every tap whole, in fp32, as one on the CPU does.
type wholeTaps struct{ Model }

func (m wholeTaps) Forward(ctx context.Context, r model.Request) ([][]float32, error) {
	r.Kept = nil
	return m.Model.Forward(ctx, r)
}

// On a GPU, however it is spread over devices, the shards have the bytes that the CPU's packer makes of the same taps.
func TestFakeGPUShards(t *testing.T) {
	fakegpu.Open(t)
	dir := filepath.Join("model", "modeltest", "testdata", "phi-a")
	load := func(copies ...[]torch.Device) Model {
		var targets []model.Target
		for _, devices := range copies {
			targets = append(targets, model.Target{Devices: devices})
		}
		m, err := model.LoadCopies(dir, targets)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	one := load([]torch.Device{0})
	models := map[string]Model{"one": one, "two": load([]torch.Device{0}, []torch.Device{1}), "split": load([]torch.Device{2, 3})}
	for _, rule := range []string{"all", "last", "every:7"} {
		for _, shared := range []int{0, 12} {
			in := shots(prompts(60), shared)
			for _, ids := range in.IDs {
				for i := range ids {
					ids[i] %= 90 // the fixture's vocabulary has 97
				}
			}
			a := ask(t, rule)
			a.Layers, a.Choices = []int{0, 1}, []string{"no", "yes"}
			want := collectedOnce(t, wholeTaps{one}, a, in, func(Event) {})
			for name, m := range models {
				if got := collectedOnce(t, m, a, in, func(Event) {}); got != want {
					t.Errorf("%s, %d shared tokens, %s: other bytes", rule, shared, name)
				}
			}
		}
	}
}

// Of prompts with a common beginning, every row comes to the host once, in fp16, and beside them what the choices need.
func TestFakeGPUPrefixComesOnce(t *testing.T) {
	fakegpu.Open(t)
	m, err := model.LoadOn(filepath.Join("model", "modeltest", "testdata", "phi-a"), model.Target{Devices: []torch.Device{0}})
	if err != nil {
		t.Fatal(err)
	}
	const shared = 12
	in, own := shots(prompts(60), shared), 0
	for _, ids := range in.IDs {
		own += len(ids) - shared
		for i := range ids {
			ids[i] %= 90
		}
	}
	a := ask(t, "all")
	a.Layers, a.Choices = []int{0, 1}, []string{"no", "yes"}
	plan, err := NewPlan(a, m, in, "data.jsonl", run.InputKey("x"))
	if err != nil {
		t.Fatal(err)
	}
	fakegpu.Reset()
	collectedOnce(t, m, a, in, func(Event) {})
	_, rows := fakegpu.Count("d2h pinned")
	if want := rowBytes(plan.Vectors) * int64(own+shared); rows != want {
		t.Errorf("%d bytes of rows came to the host, want %d:\n%s", rows, want, fakegpu.Counts())
	}
	_, rest := fakegpu.Count("d2h pageable blocking")
	if most := int64(4 * len(in.IDs) * (2 + 2*answersTop)); rest == 0 || rest > most {
		t.Errorf("%d other bytes came, want at most %d", rest, most)
	}
}

// collectedOnce is the digest of the one shard of a run, whose events observe receives.
func collectedOnce(t *testing.T, m Model, a Ask, in *dataset.Input, observe func(Event)) [32]byte {
	t.Helper()
	st := mem.New(time.Now)
	plan, err := NewPlan(a, m, in, "data.jsonl", run.InputKey("x"))
	if err != nil {
		t.Fatal(err)
	}
	plan.Units = []int64{0, int64(len(in.IDs))}
	if _, err := run.CreatePlan(t.Context(), st, plan); err != nil {
		t.Fatal(err)
	}
	cfg := nodeOf(t, st, plan, in, m)
	cfg.Observe = observe
	if _, err := Collect(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return sum(t, st, 0)
}

// On a GPU with room for a small batch only, the run is whole, and nearly what it is on one with more.
func TestFakeGPUOutOfMemory(t *testing.T) {
	fakegpu.Open(t)
	m, err := model.LoadOn(filepath.Join("model", "modeltest", "testdata", "phi-a"), model.Target{Devices: []torch.Device{1}})
	if err != nil {
		t.Fatal(err)
	}
	in := prompts(60)
	for _, ids := range in.IDs {
		for i := range ids {
			ids[i] %= 90
		}
	}
	a := ask(t, "last")
	a.Layers = []int{0, 1}
	fakegpu.Reset()
	collectedOnce(t, m, a, in, func(Event) {})
	fakegpu.Limit(fakegpu.Peak(1) * 2 / 3)
	said := 0
	collectedOnce(t, m, a, in, func(e Event) {
		if e.Event == "memory" {
			said++
		}
	})
	if said != 1 {
		t.Errorf("too little memory was said %d times", said)
	}
	fakegpu.Limit(fakegpu.Peak(1) / 1000)
	if _, err := m.Forward(t.Context(), model.Request{IDs: in.IDs[:1], Logits: true}); !torch.OutOfMemory(err) {
		t.Errorf("without memory: %v", err)
	}
}
