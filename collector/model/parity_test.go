package model_test

import (
	"context"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/modeltest"
	"actfleet/shard/tap"
)

// parity is the promise: 1e-4 of each tensor's RMS (docs/design.md, What is promised).
const parity = 1e-4

// fixtures are all folders of modeltest/testdata: at least one of every family.
var fixtures = []string{"phi-a", "phi-b", "phi-c", "phi-msft", "mixformer", "llama-3", "llama-yarn", "mistral", "qwen2", "qwen3",
	"neox-parallel", "neox-sequential", "gpt2", "gpt2-bare", "gemma", "gemma2", "gemma3"}

func load(t *testing.T, name string) (*model.Model, *modeltest.Reference) {
	t.Helper()
	dir := filepath.Join("modeltest", "testdata", name)
	m, err := model.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := modeltest.OpenReference(filepath.Join(dir, "ref.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ref.Close() })
	return m, ref
}

func everyTap(t *testing.T, m *model.Model) []tap.Tap {
	t.Helper()
	layers, err := tap.ParseLayers("all", m.Info().Layers)
	if err != nil {
		t.Fatal(err)
	}
	return tap.Cross(tap.Sites, layers)
}

// Every tap and the last logits, one prompt at a time, against Hugging Face.
func TestParity(t *testing.T) {
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			m, ref := load(t, name)
			worst := map[string]float64{}
			for p, ids := range ref.Prompts {
				compare(t, m, ref, [][]int32{ids}, []int{p}, worst)
			}
			for _, site := range slices.Sorted(maps.Keys(worst)) {
				t.Logf("%-8s largest error %.1e of RMS", site, worst[site])
			}
		})
	}
}

// All prompts in one batch, padded: the real positions must not change.
func TestBatchMatesAndPaddingChangeNothing(t *testing.T) {
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			m, ref := load(t, name)
			var all []int
			for p := range ref.Prompts {
				all = append(all, p)
			}
			compare(t, m, ref, ref.Prompts, all, map[string]float64{})
		})
	}
}

// compare runs a batch and compares row b with prompt which[b] of the reference; worst collects the
// largest error of each site.
func compare(t *testing.T, m *model.Model, ref *modeltest.Reference, ids [][]int32, which []int, worst map[string]float64) {
	t.Helper()
	taps := everyTap(t, m)
	emit := func(i int, v model.View) error {
		for b, p := range which {
			want, width, err := ref.Activation(p, taps[i])
			if err != nil {
				return err
			}
			if width != v.D {
				t.Fatalf("%s has width %d, the reference %d", taps[i].Column(""), v.D, width)
			}
			got := v.Data[b*v.T*v.D : b*v.T*v.D+len(ids[b])*v.D]
			off := modeltest.MaxRelRMS(got, want)
			worst[string(taps[i].Site)] = max(worst[string(taps[i].Site)], off)
			if off > parity {
				t.Errorf("prompt %d: %s is off by %.2g of its RMS", p, taps[i].Column(""), off)
			}
		}
		return nil
	}
	logits, err := m.Forward(t.Context(), model.Request{IDs: ids, Taps: taps, Emit: emit, Logits: true})
	if err != nil {
		t.Fatal(err)
	}
	for b, p := range which {
		want, err := ref.Logits(p)
		if err != nil {
			t.Fatal(err)
		}
		off := modeltest.MaxRelRMS(logits[b], want)
		worst["logits"] = max(worst["logits"], off)
		if off > parity {
			t.Errorf("prompt %d: the logits are off by %.2g of their RMS", p, off)
		}
	}
}

// The same batch gives the same bits, also when other batches run at the same time.
func TestSameBitsAgain(t *testing.T) {
	m, ref := load(t, "phi-a")
	taps := everyTap(t, m)
	run := func() (all []float32) {
		emit := func(_ int, v model.View) error { all = append(all, v.Data...); return nil }
		if _, err := m.Forward(t.Context(), model.Request{IDs: ref.Prompts, Taps: taps, Emit: emit}); err != nil {
			t.Error(err)
		}
		return all
	}
	want := run()
	got := make(chan []float32)
	for range 4 {
		go func() { got <- run() }()
	}
	for range 4 {
		for i, x := range <-got {
			if math.Float32bits(x) != math.Float32bits(want[i]) {
				t.Fatalf("value %d is %v, first it was %v", i, x, want[i])
			}
		}
	}
}

// The pass stops after the last tapped layer: a tap of layer 0 alone gives what all taps give.
func TestEarlyStop(t *testing.T) {
	m, ref := load(t, "phi-b")
	one := []tap.Tap{{Site: tap.FC2, Layer: 0}}
	calls := 0
	emit := func(i int, v model.View) error {
		calls++
		want, _, err := ref.Activation(3, one[i])
		if off := modeltest.MaxRelRMS(v.Data, want); err != nil || off > parity {
			t.Errorf("off by %.2g, %v", off, err)
		}
		return nil
	}
	logits, err := m.Forward(context.Background(), model.Request{IDs: ref.Prompts[3:4], Taps: one, Emit: emit})
	if err != nil || logits != nil || calls != 1 {
		t.Errorf("logits %v, %d calls, error %v; want none, one, none", logits, calls, err)
	}
}
