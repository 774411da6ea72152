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
	"neox-parallel", "neox-sequential", "gpt2", "gpt2-bare", "gemma", "gemma2", "gemma3",
	"phi3", "llama-dynamic", "olmo2", "olmo3", "granite", "starcoder2", "stablelm", "stablelm-parallel", "smollm3", "opt",
	"falcon", "falcon-40b", "falcon-rw", "gptj", "bloom", "cohere2", "glm", "glm4", "arcee",
	"mixtral", "qwen2-moe", "qwen3-moe", "olmoe", "gpt-oss", "deepseek-v2", "deepseek-v3"}

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
	return slices.DeleteFunc(tap.Cross(tap.Every, layers), func(t tap.Tap) bool { return m.Width(t) == 0 })
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
			want, width, err := ref.Activation(p, tap.Tap{Site: m.Same(taps[i].Site), Layer: taps[i].Layer})
			if err != nil {
				return err
			}
			if width != v.D {
				t.Fatalf("%s has width %d, the reference %d", taps[i].Column(""), v.D, width)
			}
			got := v.Rows(b, len(ids[b]))
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

// Every block adds attn_out and mlp_out to the residual stream, and nothing else, in every family.
func TestResidualStreamAddsUp(t *testing.T) {
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			m, ref := load(t, name)
			taps, seen := everyTap(t, m), map[tap.Tap][]float32{}
			emit := func(i int, v model.View) error { seen[taps[i]] = slices.Clone(v.Data); return nil }
			if _, err := m.Forward(t.Context(), model.Request{IDs: ref.Prompts[3:4], Taps: taps, Emit: emit}); err != nil {
				t.Fatal(err)
			}
			before := seen[tap.Tap{Site: tap.Embed}]
			for l := range m.Info().Layers {
				at := func(s tap.Site) []float32 { return seen[tap.Tap{Site: s, Layer: l}] }
				if mid := at(tap.ResidMid); mid != nil {
					addsUp(t, "resid_mid", l, mid, before, at(tap.AttnOut))
				}
				addsUp(t, "resid", l, at(tap.Resid), before, at(tap.AttnOut), at(tap.MLPOut))
				for _, site := range tap.Every {
					if first := m.Same(site); first != site && !slices.Equal(at(site), at(first)) {
						t.Errorf("%s of layer %d is not %s", site, l, first)
					}
				}
				before = at(tap.Resid)
			}
		})
	}
}

func addsUp(t *testing.T, what string, layer int, got []float32, parts ...[]float32) {
	t.Helper()
	want := make([]float32, len(got))
	for i := range want {
		var sum float64
		for _, p := range parts {
			sum += float64(p[i])
		}
		want[i] = float32(sum)
	}
	if off := modeltest.MaxRelRMS(got, want); off > 1e-6 {
		t.Errorf("%s of layer %d is off by %.2g of its RMS", what, layer, off)
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

// The embedding alone needs no block, with and without a prefix; its positions go on after the prefix.
func TestEmbeddingAlone(t *testing.T) {
	m, ref := load(t, "gpt2")
	ids, at := ref.Prompts[3], []tap.Tap{{Site: tap.Embed}}
	want, width, err := ref.Activation(3, at[0])
	if err != nil {
		t.Fatal(err)
	}
	var got []float32
	emit := func(_ int, v model.View) error { got = append(got, v.Data...); return nil }
	p, err := m.Prefix(t.Context(), model.Request{IDs: [][]int32{ids[:4]}, Taps: at, Emit: emit})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Free()
	if _, err := m.Forward(t.Context(), model.Request{IDs: [][]int32{ids[4:]}, After: p, Taps: at, Emit: emit}); err != nil {
		t.Fatal(err)
	}
	if off := modeltest.MaxRelRMS(got, want); len(got) != len(ids)*width || off > parity {
		t.Errorf("%d values, off by %g", len(got), off)
	}
	if _, err := m.Forward(t.Context(), model.Request{IDs: [][]int32{ids}, Taps: []tap.Tap{{Site: tap.Embed, Layer: 1}}}); err == nil {
		t.Error("embed of layer 1 was given")
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
