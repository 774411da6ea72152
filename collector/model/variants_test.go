package model_test

import (
	"errors"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"actfleet/collector/model"
	"actfleet/collector/model/adapter"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// adapted is a fixture with an adapter, read from adapterFixtures and perhaps changed.
func adapted(t *testing.T, folder string, change func(*adapter.Set)) (*model.Model, *adapter.Set) {
	t.Helper()
	m, err := model.Load(filepath.Join("modeltest", "testdata", familyOf(folder)))
	if err != nil {
		t.Fatal(err)
	}
	set, err := adapter.Read(filepath.Join(adapterFixtures, folder))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(set)
	}
	if err := m.Adapt("a", set); err != nil {
		t.Fatal(err)
	}
	return m, set
}

var someIDs = []int32{3, 14, 15, 9, 26, 5}

// sameModel compares two models at every tap and in the logits.
func sameModel(t *testing.T, got, want *model.Model) {
	t.Helper()
	a, logitsA := activations(t, got, someIDs)
	b, logitsB := activations(t, want, someIDs)
	for at, v := range b {
		if !slices.Equal(a[at].Data, v.Data) {
			t.Errorf("%s differs", at)
		}
	}
	if !slices.Equal(logitsA, logitsB) {
		t.Error("the logits differ")
	}
}

// What the base computes does not depend on the adapters beside it.
func TestTheBaseKeepsItsBits(t *testing.T) {
	for _, folder := range []string{"llama-3-lora", "gpt2-ia3", "neox-parallel-dora", "llama-3-lora-save"} {
		m, _ := adapted(t, folder, nil)
		plain, err := model.Load(filepath.Join("modeltest", "testdata", familyOf(folder)))
		if err != nil {
			t.Fatal(err)
		}
		sameModel(t, m, plain)
	}
}

// An adapter as it is before its training gives the base's bits.
func TestAFreshAdapterGivesTheBasesBits(t *testing.T) {
	start := map[adapter.Kind]map[string]float32{
		adapter.LoRA: {"lora_B": 0, "lora_B.bias": 0}, adapter.AdaLoRA: {"lora_E": 0}, adapter.IA3: {"ia3_l": 1}, adapter.LoHa: {"hada_w2_b": 0},
		adapter.LoKr: {"lokr_w1": 0}, adapter.OFT: {"oft_R": 0}, adapter.VeRA: {"vera_lambda_b": 0}, adapter.Bias: {"beft_bias": 0}}
	for _, folder := range []string{"llama-3-rslora", "llama-3-adalora", "gpt2-ia3", "qwen2-ia3-ff", "phi-a-loha", "phi3-lokr", "llama-3-oft",
		"neox-parallel-oft-cayley", "qwen2-vera", "llama-3-beft"} {
		t.Run(folder, func(t *testing.T) {
			m, set := adapted(t, folder, func(set *adapter.Set) {
				for _, mod := range set.Modules {
					for _, a := range mod.Arrays {
						if v, ok := start[mod.Kind][a.Name]; ok {
							for i := range a.Data {
								a.Data[i] = v
							}
						}
					}
				}
			})
			if len(set.Modules) == 0 {
				t.Fatal("no modules")
			}
			sameModel(t, m.With("a"), m)
		})
	}
}

// One pass gives base and variants what passes of their own give, to the bit, also behind a common prefix.
func TestOnePassForAllVariants(t *testing.T) {
	m, _ := adapted(t, "llama-3-lora", nil)
	for name, folder := range map[string]string{"b": "llama-3-lora-bias", "c": "llama-3-lora-save", "d": "llama-3-ia3-ff"} {
		set, err := adapter.Read(filepath.Join(adapterFixtures, folder))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Adapt(name, set); err != nil {
			t.Fatal(err)
		}
	}
	taps := everyTap(t, m)
	batch := [][]int32{{9, 26, 5}, {1, 2, 3, 4, 5, 6, 7}}
	for _, beginning := range [][]int32{nil, {3, 14, 15, 9, 2, 6, 5, 3, 5}} {
		r := model.Request{IDs: batch, Taps: taps, Logits: true}
		at := [][]tap.Tap{taps}
		for _, a := range m.Adapters() {
			at = append(at, slices.DeleteFunc(slices.Clone(taps), func(t tap.Tap) bool { return !a.Changes(t) }))
		}
		r.Adapted = at[1:]
		if beginning != nil {
			p, err := m.Prefix(t.Context(), model.Request{IDs: [][]int32{beginning}, Taps: taps, Adapted: r.Adapted, Logits: true})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Free()
			r.After = p
		}
		all, got := slices.Concat(at...), [][]float32{}
		r.Emit = func(i int, v model.View) error {
			got = slices.Grow(got, len(all))[:len(all)]
			got[i] = slices.Clone(v.Data)
			return nil
		}
		logits, err := m.Forward(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		from := 0
		for n, mine := range at {
			name := ""
			if n > 0 {
				name = m.Adapters()[n-1].Name
			}
			single := model.Request{IDs: batch, Taps: mine, Logits: true}
			if beginning != nil {
				p, err := m.With(name).Prefix(t.Context(), model.Request{IDs: [][]int32{beginning}, Taps: taps, Logits: true})
				if err != nil {
					t.Fatal(err)
				}
				defer p.Free()
				single.After = p
			}
			single.Emit = func(i int, v model.View) error {
				if !slices.Equal(got[from+i], v.Data) {
					t.Errorf("%s of %q differs", mine[i], name)
				}
				return nil
			}
			want, err := m.With(name).Forward(t.Context(), single)
			if err != nil {
				t.Fatal(err)
			}
			for b := range batch {
				if !slices.Equal(want[b], logits[n*len(batch)+b]) {
					t.Errorf("the logits of %q after prompt %d differ", name, b)
				}
			}
			from += len(mine)
		}
	}
}

func TestAdaptersThatDoNotFit(t *testing.T) {
	edit := func(name string, f func(a *adapter.Array)) func(*adapter.Set) {
		return func(set *adapter.Set) {
			for i := range set.Modules[0].Arrays {
				if a := &set.Modules[0].Arrays[i]; a.Name == name {
					f(a)
				}
			}
		}
	}
	for what, c := range map[string]struct {
		change func(*adapter.Set)
		want   error
	}{
		"NaN":             {edit("lora_A", func(a *adapter.Array) { a.Data[3] = float32(math.NaN()) }), adapter.ErrCorrupt},
		"another base":    {edit("lora_B", func(a *adapter.Array) { a.Shape = []int{len(a.Data) / 4, 4} }), adapter.ErrMismatch},
		"rank 0":          {edit("lora_A", func(a *adapter.Array) { a.Shape[0], a.Data = 0, nil }), adapter.ErrCorrupt},
		"an unused array": {edit("lora_A", func(a *adapter.Array) { a.Name = "lora_C" }), adapter.ErrCorrupt},
		"unknown module":  {func(set *adapter.Set) { set.Modules[0].Name = "model.layers.0.mlp.gone_proj" }, adapter.ErrMismatch},
		"a layer missing": {func(set *adapter.Set) { set.Modules = set.Modules[1:] }, adapter.ErrCorrupt},
		"changed twice":   {func(set *adapter.Set) { set.Modules[1] = set.Modules[0] }, adapter.ErrCorrupt},
		"unknown kind":    {func(set *adapter.Set) { set.Modules[0].Kind = "LORE" }, adapter.ErrUnsupported},
		"an array twice": {func(set *adapter.Set) {
			set.Modules[0].Arrays = append(set.Modules[0].Arrays, set.Modules[0].Arrays[0])
		}, adapter.ErrCorrupt},
		"a weight twice": {func(set *adapter.Set) {
			norm := adapter.Array{Name: "model.norm.weight"}
			set.Weights = []adapter.Array{norm, norm}
		}, adapter.ErrCorrupt},
		"a step that reads the embedding": {func(set *adapter.Set) {
			set.Steps = []adapter.Step{{At: tap.Tap{Site: tap.FC2, Layer: 0}, From: tap.Embed}}
		}, adapter.ErrUnsupported},
		"a weight too few": {func(set *adapter.Set) { set.Weights = []adapter.Array{{Name: "model.extra.weight"}} }, adapter.ErrMismatch},
	} {
		t.Run(what, func(t *testing.T) {
			set, err := adapter.Read(filepath.Join(adapterFixtures, "llama-3-lora"))
			if err != nil {
				t.Fatal(err)
			}
			c.change(set)
			m, _ := load(t, "llama-3")
			live := torch.Live()
			if err := m.Adapt("a", set); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if n := torch.Live() - live; n != 0 {
				t.Errorf("%d tensors are left", n)
			}
		})
	}
	m, set := adapted(t, "llama-3-lora", nil)
	for _, name := range []string{"a", "", "a__b", "x y", "_a"} {
		if m.Adapt(name, set) == nil {
			t.Errorf("the name %q is taken", name)
		}
	}
}

// A step does at its site what its equation says, and the rest follows from it.
func TestSteps(t *testing.T) {
	m, _ := load(t, "llama-3")
	d := m.Info().Hidden
	filled := func(v float32, shape ...int) adapter.Array {
		n := 1
		for _, k := range shape {
			n *= k
		}
		return adapter.Array{Shape: shape, Data: slices.Repeat([]float32{v}, n)}
	}
	at := tap.Tap{Site: tap.FC2, Layer: 1}
	bottleneck := adapter.Step{At: at, Down: filled(0.1, 1, d), DownBias: filled(1, 1), Up: filled(0.25, d, 1), Activation: "relu", Gain: 2}
	beside := bottleneck
	beside.From = tap.MLPIn
	gives := func(x []float32) float64 {
		var sum float64
		for _, v := range x {
			sum += 0.1 * float64(v)
		}
		return 2 * 0.25 * max(sum+1, 0)
	}
	for name, tt := range map[string]struct {
		steps []adapter.Step
		want  func(y float32, out, in []float32) float64
	}{
		"steered":    {[]adapter.Step{{At: at, Mul: filled(2, d), Add: filled(0.5, d)}}, func(y float32, _, _ []float32) float64 { return 2*float64(y) + 0.5 }},
		"sequential": {[]adapter.Step{bottleneck}, func(y float32, out, _ []float32) float64 { return float64(y) + gives(out) }},
		"parallel":   {[]adapter.Step{beside}, func(y float32, _, in []float32) float64 { return float64(y) + gives(in) }},
		"both": {[]adapter.Step{{At: at, Mul: filled(2, d), Add: filled(0.5, d)}, beside},
			func(y float32, _, in []float32) float64 { return 2*float64(y) + 0.5 + gives(in) }},
	} {
		if err := m.Adapt(name, &adapter.Set{Steps: tt.steps}); err != nil {
			t.Fatal(err)
		}
		base, _ := activations(t, m, someIDs)
		got, _ := activations(t, m.With(name), someIDs)
		in := base[tap.Tap{Site: tap.MLPIn, Layer: 1}].Data
		for i, y := range base[at].Data {
			row := i / d * d
			want := tt.want(y, base[at].Data[row:row+d], in[row:row+d])
			if have := float64(got[at].Data[i]); math.Abs(have-want) > 1e-4 {
				t.Fatalf("%s: element %d is %v, want %v", name, i, have, want)
			}
		}
		a := m.Adapters()[len(m.Adapters())-1]
		if a.First != 1 || a.Embed {
			t.Errorf("%s begins at %+v", name, a)
		}
		for t0 := range maps.Keys(base) {
			if !a.Changes(t0) && !slices.Equal(base[t0].Data, got[t0].Data) {
				t.Errorf("%s changes %s", name, t0)
			}
		}
	}
}
