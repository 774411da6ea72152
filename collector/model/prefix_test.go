package model_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/modeltest"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// shared is how far a pass that goes on from a prefix may be from the whole pass, of each tensor's RMS.
const shared = 2e-5

// Prompts that begin alike give the same taps and logits whether their beginning is computed once or with each, in
// every family and wherever the beginning ends: before, in and after a window.
func TestPrefix(t *testing.T) {
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			m, ref := load(t, name)
			long := slices.MaxFunc(ref.Prompts, func(a, b []int32) int { return len(a) - len(b) })
			if limit := m.Info().PrefixLimit; limit > 0 {
				samePrefixed(t, m, long[:4], [][]int32{long[4:limit], {long[0]}})
				refusesPrefix(t, m, long[:4], long[4:limit+1])
				return
			}
			for _, n := range []int{1, 4, 9, len(long) - 1} {
				samePrefixed(t, m, long[:n], [][]int32{long[n:], {long[0]}, {long[3], long[0], long[1]}})
			}
		})
	}
}

// refusesPrefix wants an error where a prompt is longer than the model can go on to from a prefix.
func refusesPrefix(t *testing.T, m *model.Model, prefix, rest []int32) {
	t.Helper()
	p, err := m.Prefix(t.Context(), model.Request{IDs: [][]int32{prefix}, Taps: everyTap(t, m)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Free()
	if _, err := m.Forward(t.Context(), model.Request{IDs: [][]int32{rest}, After: p, Taps: everyTap(t, m)}); err == nil || !strings.Contains(err.Error(), "prefix") {
		t.Errorf("a prompt beyond the limit: %v", err)
	}
}

// samePrefixed compares a pass over prefix + each of rest with one over the prefix and one over rest after it.
func samePrefixed(t *testing.T, m *model.Model, prefix []int32, rest [][]int32) {
	t.Helper()
	taps := everyTap(t, m)
	var whole [][]int32
	for _, ids := range rest {
		whole = append(whole, slices.Concat(prefix, ids))
	}
	want := map[tap.Tap][][]float32{} // of each prompt
	collect := func(into map[tap.Tap][][]float32, prompts [][]int32) func(int, model.View) error {
		return func(i int, v model.View) error {
			for b, ids := range prompts {
				rows := v.Rows(b, len(ids))
				into[taps[i]] = append(into[taps[i]], slices.Clone(rows))
			}
			return nil
		}
	}
	wantLogits, err := m.Forward(t.Context(), model.Request{IDs: whole, Taps: taps, Emit: collect(want, whole), Logits: true})
	if err != nil {
		t.Fatal(err)
	}
	first, after := map[tap.Tap][][]float32{}, map[tap.Tap][][]float32{}
	p, err := m.Prefix(t.Context(), model.Request{IDs: [][]int32{prefix}, Taps: taps, Emit: collect(first, [][]int32{prefix}), Logits: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Free()
	logits, err := m.Forward(t.Context(), model.Request{IDs: rest, After: p, Taps: taps, Emit: collect(after, rest), Logits: true})
	if err != nil {
		t.Fatal(err)
	}
	for b := range rest {
		for _, at := range taps {
			got := slices.Concat(first[at][0], after[at][b])
			if off := modeltest.MaxRelRMS(got, want[at][b]); off > shared {
				t.Errorf("prefix of %d, prompt %d: %s is off by %.2g of its RMS", len(prefix), b, at.Column(""), off)
			}
		}
		if off := modeltest.MaxRelRMS(logits[b], wantLogits[b]); off > shared {
			t.Errorf("prefix of %d, prompt %d: the logits are off by %.2g of their RMS", len(prefix), b, off)
		}
	}
}

// A prefix made for some blocks serves passes that need no more, several at a time, and leaves nothing behind.
func TestPrefixIsUsedAgain(t *testing.T) {
	m, _ := load(t, "gemma3")
	ids := [][]int32{{1, 5, 9, 2, 40, 7}}
	at := func(layer int) []tap.Tap { return []tap.Tap{{Site: tap.Resid, Layer: layer}} }
	if _, err := m.Forward(t.Context(), model.Request{IDs: ids, Taps: at(2)}); err != nil { // makes rotary tables, which stay
		t.Fatal(err)
	}
	live := torch.Live()
	p, err := m.Prefix(t.Context(), model.Request{IDs: ids, Taps: at(1)})
	if err != nil || p.Len() != 6 {
		t.Fatalf("%d tokens, %v", p.Len(), err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if _, err := m.Forward(t.Context(), model.Request{IDs: ids, After: p, Taps: at(i % 2)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, err := m.Forward(t.Context(), model.Request{IDs: ids, After: p, Taps: at(2)}); err == nil || !strings.Contains(err.Error(), "2 blocks, the pass needs 3") {
		t.Errorf("a tap behind the prefix's blocks: %v", err)
	}
	p.Free()
	if n := torch.Live() - live; n != 0 {
		t.Errorf("%d more tensors than before", n)
	}
}

func TestPrefixRefuses(t *testing.T) {
	m, _ := load(t, "phi-a")
	most := m.Info().MaxPositions
	p, err := m.Prefix(t.Context(), model.Request{IDs: [][]int32{make([]int32, most)}, Logits: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Free()
	for says, r := range map[string]model.Request{
		"positions":  {IDs: [][]int32{{1}}, After: p},
		"one prompt": {IDs: [][]int32{{1}, {2}}},
	} {
		run := m.Forward
		if r.After == nil {
			run = func(ctx context.Context, r model.Request) ([][]float32, error) {
				_, err := m.Prefix(ctx, r)
				return nil, err
			}
		}
		if _, err := run(t.Context(), r); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want one that says %q", err, says)
		}
	}
}
