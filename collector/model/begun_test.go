package model_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"actfleet/collector/model"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// Passes that go on from a batch's first blocks give the bits of whole passes, in every family, also after a prefix, and
// whatever a pass before them has replaced.
func TestBegin(t *testing.T) {
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			m, ref := load(t, name)
			long := slices.MaxFunc(ref.Prompts, func(a, b []int32) int { return len(a) - len(b) })
			shared, err := m.Prefix(t.Context(), model.Request{IDs: [][]int32{long[:3]}, Logits: true})
			if err != nil {
				t.Fatal(err)
			}
			defer shared.Free()
			for _, after := range []*model.Prefix{nil, shared} {
				if limit := m.Info().PrefixLimit; after != nil && limit > 0 {
					long = long[:limit] // longer prompts go on from no prefix
				}
				for blocks := range m.Info().Layers + 1 {
					sameFrom(t, m, model.Request{IDs: [][]int32{long[3:], {long[0], long[2]}}, After: after}, blocks)
				}
			}
		})
	}
}

// places are those of every token of a request's prompts.
func places(r model.Request) (at []int32) {
	steps := 0
	for _, ids := range r.IDs {
		steps = max(steps, len(ids))
	}
	for b, ids := range r.IDs {
		for t := range ids {
			at = append(at, int32(b*steps+t))
		}
	}
	return at
}

// sameFrom compares two whole passes, one of which replaces the first tap behind so many blocks, with two that go on
// from there.
func sameFrom(t *testing.T, m *model.Model, r model.Request, blocks int) {
	t.Helper()
	begun, err := m.Begin(t.Context(), r, blocks)
	if err != nil {
		t.Fatal(err)
	}
	defer begun.Free()
	behind := slices.DeleteFunc(everyTap(t, m), func(at tap.Tap) bool { return at.Layer < blocks || at.Site == tap.Embed || at.Site == tap.Experts })
	at := places(r)
	for _, replace := range []bool{true, false} {
		run := func(r model.Request) (all []float32) {
			r.Taps, r.Logits = behind, true
			r.Emit = func(_ int, v model.View) error {
				all = append(all, v.Data...)
				return nil
			}
			r.Patch = &model.Patch{Taps: behind, At: at, With: func(i int, rows model.Rows) (bool, error) {
				if replace && i == 0 {
					clear(rows.F32)
				}
				return replace && i == 0, nil
			}}
			logits, err := m.Forward(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			return append(all, slices.Concat(logits...)...)
		}
		if got, want := run(model.Request{From: begun}), run(r); !slices.Equal(got, want) {
			t.Errorf("%d blocks, after %d tokens, replaced %v: another result than from the beginning", blocks, r.After.Len(), replace)
		}
	}
}

// Several passes go on from the same blocks, and nothing is left behind, also by those that fail.
func TestBegunIsUsedAgain(t *testing.T) {
	m, _ := load(t, "gemma3")
	other, _ := load(t, "phi-a")
	r := model.Request{IDs: [][]int32{{1, 5, 9, 2, 40, 7}}}
	last := tap.Tap{Site: tap.Resid, Layer: m.Info().Layers - 1}
	if _, err := m.Forward(t.Context(), model.Request{IDs: r.IDs, Taps: []tap.Tap{last}}); err != nil { // makes rotary tables, which stay
		t.Fatal(err)
	}
	live := torch.Live()
	begun, err := m.Begin(t.Context(), r, 2)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := m.Forward(t.Context(), model.Request{From: begun, Taps: []tap.Tap{last}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for says, run := range map[string]func() error{
		"resid_1: the first 2 blocks": func() error {
			_, err := m.Forward(t.Context(), model.Request{From: begun, Taps: []tap.Tap{{Site: tap.Resid, Layer: 1}}})
			return err
		},
		"another model": func() error {
			_, err := other.Forward(t.Context(), model.Request{From: begun, Logits: true})
			return err
		},
		"has layers": func() error { _, err := m.Begin(t.Context(), r, m.Info().Layers+1); return err },
		"begins with its prompts": func() error {
			_, err := m.Begin(t.Context(), model.Request{From: begun}, 3)
			return err
		},
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want one that says %q", err, says)
		}
	}
	begun.Free()
	if n := torch.Live() - live; n != 0 {
		t.Errorf("%d more tensors than before", n)
	}
}
