package collector

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"actfleet/collector/model"
	"actfleet/collector/model/adapter"
	"actfleet/collector/model/modeltest"
	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/store/mem"
	"actfleet/shard/tap"
)

// withAdapters is a small model with adapters: steer adds to fc2 of layer 1, and others are modeltest's folders.
func withAdapters(t *testing.T, names ...string) *model.Model {
	t.Helper()
	m, err := model.Load("model/modeltest/testdata/llama-3")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		hidden := m.Info().Hidden
		set := &adapter.Set{Digest: name, Steps: []adapter.Step{{At: tap.Tap{Site: tap.FC2, Layer: 1},
			Add: adapter.Array{Name: "add", Shape: []int{hidden}, Data: slices.Repeat([]float32{0.5}, hidden)}}}}
		if name != "steer" {
			if set, err = adapter.Read(filepath.Join("model/adapter/testdata", "llama-3-"+name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Adapt(name, set); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// collected is unit 0 of a run in which every variant of m goes over the same prompts, which share 12 tokens.
func collected(t *testing.T, m *model.Model) (store.Store, run.Plan, [][]int32) {
	t.Helper()
	in := shots(prompts(130), 12)
	for _, ids := range in.IDs {
		for i := range ids {
			ids[i] %= 60
		}
	}
	a := ask(t, "every:9")
	a.Dtype, a.Choices, a.Layers = "f32", []string{"no", "yes"}, []int{0, 1, 2}
	st := mem.New(time.Now)
	cfg := config(t, st, m, a, in)
	if _, err := Collect(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if _, _, err := run.Finish(t.Context(), st, cfg.Plan); err != nil {
		t.Fatal(err)
	}
	wantClean(t, st)
	return st, cfg.Plan, in.IDs
}

// column is the bytes of a vector column in the first row group of unit 0.
func column(t *testing.T, r *shard.Reader, name string) []byte {
	t.Helper()
	i, ok := r.VectorIndex(name)
	if !ok {
		t.Fatalf("no column %s", name)
	}
	raw, err := r.Vector(0, i, nil)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(raw)
}

func openUnit(t *testing.T, st store.Store) *shard.Reader {
	t.Helper()
	r, err := shard.Open(t.Context(), st, run.UnitKey(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// One pass stores what each variant gives alone, what an adapter does not change once, and the base's bytes as without.
func TestAdaptersBesideTheBase(t *testing.T) {
	m := withAdapters(t, "steer", "lora")
	st, plan, ids := collected(t, m)
	if a := plan.Adapters; len(a) != 2 || a[0].First != 1 || a[1].First != 0 || a[0].Digest == a[1].Digest {
		t.Fatalf("the plan's adapters are %+v", a)
	}
	if _, stored := plan.Schema().VectorIndex("fc1_0__steer"); stored || plan.Column("fc1_0__steer") != "fc1_0" || plan.Column("fc1_1__steer") != "fc1_1__steer" {
		t.Error("fc1_0__steer is not fc1_0")
	}
	r := openUnit(t, st)
	scalars, err := r.Scalars(0, "row", "pos", "p_yes", "p_yes__steer", "p_yes__lora")
	if err != nil {
		t.Fatal(err)
	}
	rows, pos := scalars[0].([]int64), scalars[1].([]int32)
	for _, v := range plan.Vectors {
		_, variant, _ := tap.ParseColumn(v.Name)
		got := make([]float32, len(rows)*v.Width)
		shard.UnpackF32(got, column(t, r, v.Name))
		for i := 0; i < len(rows); i += 29 {
			want := whole(t, m.With(variant), v.Name, ids[rows[i]], int(pos[i]))
			if off := modeltest.MaxRelRMS(got[i*v.Width:(i+1)*v.Width], want); off > 2e-5 {
				t.Errorf("%s of row %d at %d is off by %.1e of its RMS", v.Name, rows[i], pos[i], off)
			}
		}
	}
	for i, name := range []string{"", "steer", "lora"} {
		var want []float32
		next := &model.Next{Sets: [][]int32{{5}, {6, 7}}, Emit: func(c model.Chances) { want = append(want, float32(c.Sets[1]/(c.Sets[0]+c.Sets[1]))) }}
		if _, err := m.With(name).Forward(t.Context(), model.Request{IDs: [][]int32{ids[rows[0]]}, Next: next}); err != nil {
			t.Fatal(err)
		}
		if off := modeltest.MaxRelRMS(scalars[2+i].([]float32)[:1], want); off > 1e-4 {
			t.Errorf("p_yes of %q is off by %.1e", name, off)
		}
	}
	alone, planAlone, _ := collected(t, withAdapters(t))
	bare := openUnit(t, alone)
	for _, v := range planAlone.Vectors {
		if !bytes.Equal(column(t, r, v.Name), column(t, bare, v.Name)) {
			t.Errorf("%s is another than without adapters", v.Name)
		}
	}
}

// A node whose adapters are not the plan's does not begin.
func TestAnotherAdapterIsRefused(t *testing.T) {
	st, plan, _ := collected(t, withAdapters(t, "steer"))
	for _, m := range []*model.Model{withAdapters(t), withAdapters(t, "lora"), withAdapters(t, "steer", "lora")} {
		if _, err := newUnits(nodeOf(t, st, plan, prompts(130), m)); err == nil {
			t.Errorf("a model with %v is taken", m.Adapters())
		}
	}
}
