package model_test

import (
	"slices"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/modeltest"
)

// What a CPU with AVX-512 computes of prompts that lie one after the other is what libtorch's operators compute of the same
// prompts padded, as they are for a cache.
func TestWithoutPadding(t *testing.T) {
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			m, ref := load(t, name)
			taps, cache := everyTap(t, m), m.NewCache()
			defer cache.Free()
			got, gotLogits := tapped(t, m, model.Request{IDs: ref.Prompts, Taps: taps, Logits: true})
			want, wantLogits := tapped(t, m, model.Request{IDs: ref.Prompts, Taps: taps, Logits: true, Cache: cache})
			for b, ids := range ref.Prompts {
				for k, at := range taps {
					if off := modeltest.MaxRelRMS(got[k].Rows(b, len(ids)), want[k].Rows(b, len(ids))); off > shared {
						t.Errorf("prompt %d: %s is off by %.2g of its RMS", b, at.Column(""), off)
					}
				}
				if off := modeltest.MaxRelRMS(gotLogits[b], wantLogits[b]); off > shared {
					t.Errorf("prompt %d: the logits are off by %.2g of their RMS", b, off)
				}
			}
		})
	}
}

// A prompt's bits do not depend on the prompts beside it, where nothing is padded.
func TestWithoutPaddingAlone(t *testing.T) {
	m, ref := load(t, "qwen3")
	taps, last := everyTap(t, m), len(ref.Prompts)-1
	all, _ := tapped(t, m, model.Request{IDs: ref.Prompts, Taps: taps})
	if at := all[0].Places([]int32{int32(last * all[0].T)}); at[0] == int32(last*all[0].T) {
		t.Log("this CPU has no AVX-512: prompts are padded")
		return
	}
	alone, _ := tapped(t, m, model.Request{IDs: ref.Prompts[last:], Taps: taps})
	n := len(ref.Prompts[last])
	for k, at := range taps {
		if !slices.Equal(all[k].Rows(last, n), alone[k].Rows(0, n)) {
			t.Errorf("%s is another alone", at.Column(""))
		}
	}
}
