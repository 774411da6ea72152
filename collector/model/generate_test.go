package model_test

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/modeltest"
	"actfleet/collector/model/sampling"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// parityTokens is how many tokens transformers added to each prompt, or as many as the model has positions for.
const parityTokens = 12

// Greedy continuations are those of transformers' generate, token for token, in every family: each prompt alone, and
// all in one batch of ragged lengths.
func TestGenerateAsTransformers(t *testing.T) {
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			m, ref := load(t, name)
			continued := goesOn(t, m, name, ref.Prompts)
			for p, want := range continued {
				if got := generate(t, m, model.Generation{IDs: ref.Prompts[p : p+1], Most: parityTokens})[0]; !slices.Equal(got.IDs, want) {
					t.Errorf("prompt %d goes on with %v, transformers with %v", p, got.IDs, want)
				}
			}
		})
	}
}

// goesOn compares what a model adds to all prompts of a fixture, in one batch, with what transformers adds to each.
func goesOn(t *testing.T, m *model.Model, name string, prompts [][]int32) [][]int32 {
	t.Helper()
	continued, err := modeltest.ReadContinued(filepath.Join("modeltest", "testdata", name))
	if err != nil || len(continued.Tokens) != len(prompts) {
		t.Fatalf("%d continuations, %v; TestReferences of package parity makes them", len(continued.Tokens), err)
	}
	all := generate(t, m, model.Generation{IDs: prompts, Most: parityTokens})
	for p, want := range continued.Tokens {
		if !slices.Equal(all[p].IDs, want) {
			t.Errorf("prompt %d in a batch goes on with %v, transformers with %v", p, all[p].IDs, want)
		}
	}
	return continued.Tokens
}

func generate(t *testing.T, m *model.Model, g model.Generation) []model.Continuation {
	t.Helper()
	out, err := m.Generate(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What goes on from a cache has the taps and logits of the whole prompt, in every family: prompts of different lengths,
// with and without a prefix, past a window, and after some of the batch are at their end.
func TestCacheChangesNothing(t *testing.T) {
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			m, ref := load(t, name)
			long := slices.MaxFunc(ref.Prompts, func(a, b []int32) int { return len(a) - len(b) })
			if limit := m.Info().PrefixLimit; limit > 0 {
				long = long[:limit]
			}
			steps := min(4, len(long)-5)
			starts := [][]int32{long[:1], long[:len(long)-steps], long[1:4]}
			goOn(t, m, nil, starts, long[len(long)-steps:])
			prefix, err := m.Prefix(t.Context(), model.Request{IDs: [][]int32{long[:2]}, Logits: true})
			if err != nil {
				t.Fatal(err)
			}
			defer prefix.Free()
			starts[1] = starts[1][2:]
			goOn(t, m, prefix, starts, long[len(long)-steps:])
		})
	}
}

// goOn continues prompts by the same tokens from a cache and compares every step with a pass over the whole prompts;
// after the second step the first prompt leaves the batch.
func goOn(t *testing.T, m *model.Model, prefix *model.Prefix, prompts [][]int32, more []int32) {
	t.Helper()
	taps, c := everyTap(t, m), m.NewCache()
	defer c.Free()
	before := 0
	if prefix != nil {
		before = prefix.Len()
	}
	if _, err := m.Forward(t.Context(), model.Request{IDs: prompts, After: prefix, Cache: c, Logits: true}); err != nil {
		t.Fatal(err)
	}
	whole := make([][]int32, len(prompts))
	for b, ids := range prompts {
		whole[b] = ids
		if before > 0 {
			whole[b] = slices.Concat(prefix.IDs, ids)
		}
	}
	for i, id := range more {
		if i == 2 {
			whole = whole[1:]
			if err := c.Keep([]int{1, 2}); err != nil {
				t.Fatal(err)
			}
		}
		step := make([][]int32, len(whole))
		for b := range whole {
			whole[b] = append(slices.Clone(whole[b]), id)
			step[b] = []int32{id}
		}
		got, gotLogits := tapped(t, m, model.Request{IDs: step, Cache: c, Taps: taps, Logits: true})
		want, wantLogits := tapped(t, m, model.Request{IDs: whole, Taps: taps, Logits: true})
		for b := range whole {
			for k, at := range taps {
				if off := modeltest.MaxRelRMS(got[k].Row(b, 0), want[k].Row(b, len(whole[b])-1)); off > shared {
					t.Errorf("step %d, prompt %d: %s is off by %.2g of its RMS", i, b, at.Column(""), off)
				}
			}
			if off := modeltest.MaxRelRMS(gotLogits[b], wantLogits[b]); off > shared {
				t.Errorf("step %d, prompt %d: the logits are off by %.2g of their RMS", i, b, off)
			}
		}
	}
}

// tapped runs a request and keeps what its taps give.
func tapped(t *testing.T, m *model.Model, r model.Request) ([]model.View, [][]float32) {
	t.Helper()
	views := make([]model.View, len(r.Taps))
	r.Emit = func(i int, v model.View) error {
		v.Data = slices.Clone(v.Data)
		views[i] = v
		return nil
	}
	logits, err := m.Forward(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return views, logits
}

// A batch outgrows the room of its cache, a prefix is gone on from, and what is drawn is the same for a prompt alone.
func TestGenerateSamplesEachPromptByItself(t *testing.T) {
	m, ref := load(t, "llama-yarn")
	prefix, err := m.Prefix(t.Context(), model.Request{IDs: [][]int32{ref.Prompts[3]}, Logits: true})
	if err != nil {
		t.Fatal(err)
	}
	defer prefix.Free()
	g := model.Generation{IDs: ref.Prompts[:3], After: prefix, Most: 90, Rule: sampling.Rule{Temperature: 1.5, TopK: 20, TopP: 0.9}, Seed: 3,
		Numbers: []int64{10, 11, 12}}
	all := generate(t, m, g)
	for p := range g.IDs {
		alone := g
		alone.IDs, alone.Numbers = g.IDs[p:p+1], g.Numbers[p:p+1]
		if got := generate(t, m, alone)[0]; !slices.Equal(got.IDs, all[p].IDs) || len(got.IDs) != 90 || got.Why != model.AtLength {
			t.Errorf("prompt %d alone goes on with %v (%s), in a batch with %v", p, got.IDs, got.Why, all[p].IDs)
		}
	}
	g.Seed = 4
	if other := generate(t, m, g); slices.Equal(other[0].IDs, all[0].IDs) {
		t.Error("another seed draws the same")
	}
}

func TestGenerateEnds(t *testing.T) {
	m, ref := load(t, "gpt2")
	prompt := ref.Prompts[2:3]
	plain := generate(t, m, model.Generation{IDs: prompt, Most: 200})[0]
	if want := m.Info().MaxPositions - len(prompt[0]) + 1; len(plain.IDs) != want || plain.Why != model.AtLength {
		t.Errorf("%d tokens, %s; want %d until the model has no positions", len(plain.IDs), plain.Why, want)
	}
	first := func(id int32) int { return slices.Index(plain.IDs, id) + 1 }
	at := plain.IDs[len(plain.IDs)/2]
	if c := generate(t, m, model.Generation{IDs: prompt, Most: 200, Ends: []int32{at}})[0]; len(c.IDs) != first(at) || c.Why != model.AtEnd {
		t.Errorf("%v, %s; want an end at the first %d of %v", c.IDs, c.Why, at, plain.IDs)
	}
	stop := func(p int, added []int32) bool { return p == 0 && len(added) == 3 }
	if c := generate(t, m, model.Generation{IDs: prompt, Most: 200, Stop: stop})[0]; len(c.IDs) != 3 || c.Why != model.Stopped {
		t.Errorf("%v, %s", c.IDs, c.Why)
	}
	live := torch.Live()
	for _, bad := range []model.Generation{{IDs: prompt}, {IDs: [][]int32{{}}, Most: 1}, {IDs: prompt, Most: 1, Numbers: []int64{1, 2}},
		{IDs: prompt, Most: 1, Rule: sampling.Rule{Temperature: -1}}} {
		if _, err := m.Generate(t.Context(), bad); err == nil {
			t.Errorf("%+v is continued", bad)
		}
	}
	wreck := model.Generation{IDs: prompt, Most: 3, Taps: []tap.Tap{{Site: tap.Resid, Layer: 1}}, Replace: func(_ int, v model.View) error {
		if v.T == 1 {
			v.Data[0] = float32(math.NaN())
		}
		return nil
	}}
	if _, err := m.Generate(t.Context(), wreck); !errors.Is(err, model.ErrLogits) {
		t.Errorf("logits that are not finite: %v", err)
	}
	if n := torch.Live() - live; n != 0 {
		t.Errorf("%d more tensors than before", n)
	}
}

func TestCacheRefuses(t *testing.T) {
	m, ref := load(t, "phi-a")
	c := m.NewCache()
	defer c.Free()
	if _, err := m.Forward(t.Context(), model.Request{IDs: ref.Prompts[1:3], Cache: c, Logits: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.Keep([]int{2}); err == nil {
		t.Error("a prompt that is not there is kept")
	}
	for _, n := range []int{-1, len(ref.Prompts[1])} {
		if err := c.Forget(n); err == nil {
			t.Errorf("%d positions are forgotten of %d", n, len(ref.Prompts[1]))
		}
	}
	for says, r := range map[string]model.Request{
		"that come":   {IDs: [][]int32{{1}, {2}}, Cache: c},
		"1 go on":     {IDs: [][]int32{{1}}, Cache: c, Logits: true},
		"by 2 tokens": {IDs: [][]int32{{1}, {2, 3}}, Cache: c, Logits: true},
		"is empty":    {IDs: [][]int32{{1}, {}}, Cache: m.NewCache(), Logits: true},
	} {
		if _, err := m.Forward(t.Context(), r); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error with %q, got %v", says, err)
		}
	}
}
