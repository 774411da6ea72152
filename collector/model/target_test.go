package model_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/modeltest"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// forwards is what a Model and Copies have in common.
type forwards interface {
	Info() model.Info
	Width(t tap.Tap) int
	Forward(ctx context.Context, r model.Request) ([][]float32, error)
	Prefix(ctx context.Context, r model.Request) (*model.Prefix, error)
}

// outputs is every tap and logit of some prompts, and of the same prompts after a prefix.
func outputs(t *testing.T, m forwards) (all []float32) {
	t.Helper()
	layers, _ := tap.ParseLayers("all", m.Info().Layers)
	r := model.Request{IDs: [][]int32{{1, 5, 9, 2, 40, 7, 3, 11}, {2}}, Taps: tap.Cross(tap.Every, layers), Logits: true}
	r.Taps = slices.DeleteFunc(r.Taps, func(at tap.Tap) bool { return m.Width(at) == 0 })
	r.Emit = func(_ int, v model.View) error { all = append(all, v.Data...); return nil }
	forward := func(after *model.Prefix) {
		r.After = after
		logits, err := m.Forward(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, slices.Concat(logits...)...)
	}
	forward(nil)
	if limit := m.Info().PrefixLimit; limit > 0 && limit < 2*len(r.IDs[0]) {
		return all
	}
	ids, after := r.IDs, r
	after.IDs, after.After = ids[:1], nil
	p, err := m.Prefix(t.Context(), after)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Free()
	forward(p)
	return all
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
		t.Errorf("%s: other bits", what)
	}
}

// Wherever the blocks lie, and however the taps come back, the bits are the same: blocks split over two devices, two
// copies, and taps moved through a buffer. The devices here are the CPU each time.
func TestTargetsHaveTheSameBits(t *testing.T) {
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("modeltest", "testdata", name)
			plain, _ := load(t, name)
			want := outputs(t, plain)
			split, err := model.LoadOn(dir, model.Target{Compute: torch.F32, Devices: []torch.Device{torch.CPU, torch.CPU}})
			if err != nil {
				t.Fatal(err)
			}
			sameBits(t, "split", outputs(t, split), want)
		})
	}
}

func TestCopies(t *testing.T) {
	plain, _ := load(t, "gemma3")
	want := outputs(t, plain)
	c, err := model.LoadCopies("modeltest/testdata/gemma3", []model.Target{{}, {}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 2 * c.Passes() {
		wg.Go(func() { sameBits(t, "copies", outputs(t, c), want) })
	}
	wg.Wait()
	if at := (tap.Tap{Site: tap.FC1}); c.Passes() != 4 || c.Width(at) != plain.Width(at) || c.Info().Digest != plain.Info().Digest {
		t.Errorf("%d passes, %+v", c.Passes(), c.Info())
	}
	split := model.Target{Devices: []torch.Device{torch.CPU, torch.CPU, torch.CPU}}
	if c, err := model.LoadCopies("modeltest/testdata/gemma3", []model.Target{{}, split}); err != nil || c.Passes() != 2+4 {
		t.Errorf("a copy on one device and one on three: %d passes, %v; want one more than devices of each", c.Passes(), err)
	}
	if _, err := model.LoadCopies(t.TempDir(), []model.Target{{}}); err == nil {
		t.Error("an empty folder is no model")
	}
}

// 16-bit linear maps: how far every family's taps and logits then are from Hugging Face's fp32, of each tensor's RMS.
// bf16 has 8 significant bits (2⁻⁹ = 0.002 for one rounding), fp16 11 (2⁻¹² = 0.0002).
func TestHalfPrecision(t *testing.T) {
	for compute, most := range map[torch.Dtype]float64{torch.BF16: 0.2, torch.F16: 0.05} {
		t.Run(compute.String(), func(t *testing.T) {
			for _, name := range fixtures {
				m, err := model.LoadOn(filepath.Join("modeltest", "testdata", name), model.Target{Compute: compute})
				if compute == torch.F16 && errors.Is(err, model.ErrCompute) {
					t.Skipf("refused, as it should be: %v", err)
				}
				if err != nil {
					t.Fatal(err)
				}
				_, ref := load(t, name)
				worst := distances(t, m, ref)
				t.Logf("%-16s worst tap %.1e, act %.1e, logits %.1e of the RMS", name, worst.tap, worst.act, worst.logits)
				if worst.tap == 0 || worst.tap > most || worst.logits > most || worst.act > 2*most {
					t.Errorf("%s: want more than 0 and at most %g, of act, a product in many families, at most twice that", name, most)
				}
			}
		})
	}
}

// distances are the worst tap's but act, the worst act's and the worst logits' from the reference. Where a router chooses
// experts, only what is computed up to its logits counts: a rounded state may choose others, which are another function of it.
func distances(t *testing.T, m *model.Model, ref *modeltest.Reference) (worst struct{ tap, act, logits float64 }) {
	t.Helper()
	taps := everyTap(t, m)
	router := slices.IndexFunc(taps, func(at tap.Tap) bool { return at.Site == tap.Router })
	if router >= 0 {
		taps = taps[:router+1]
	}
	for p, ids := range ref.Prompts {
		emit := func(i int, v model.View) error {
			want, _, err := ref.Activation(p, tap.Tap{Site: m.Same(taps[i].Site), Layer: taps[i].Layer})
			off := modeltest.MaxRelRMS(v.Data, want)
			if taps[i].Site == tap.Act {
				worst.act = max(worst.act, off)
			} else {
				worst.tap = max(worst.tap, off)
			}
			return err
		}
		logits, err := m.Forward(t.Context(), model.Request{IDs: [][]int32{ids}, Taps: taps, Emit: emit, Logits: true})
		if err != nil {
			t.Fatal(err)
		}
		want, err := ref.Logits(p)
		if err != nil {
			t.Fatal(err)
		}
		if router < 0 {
			worst.logits = max(worst.logits, modeltest.MaxRelRMS(logits[0], want))
		}
	}
	return worst
}
