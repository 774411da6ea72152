package run_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"actfleet/shard"
	. "actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/shard/store"
	"actfleet/shard/store/mem"
	"actfleet/shard/tap"
)

func testPlan() Plan {
	return Plan{
		Format:    PlanFormat,
		Model:     ModelRef{Name: "tiny-phi", Arch: "PhiForCausalLM", Digest: "aa", Layers: 4, Hidden: 16, MaxPositions: 64},
		Data:      DataRef{Name: "facts", Digest: "bb", Rows: 1000, Input: InputKey("bb")},
		MaxTokens: 32,
		Sites:     []tap.Site{tap.FC2, tap.Resid},
		Layers:    []int{3},
		Tokens:    "every:3",
		Dtype:     "auto",
		Compute:   "f32",
		Device:    "cpu",
		Scalars:   append(shard.BaseScalars(), shard.Scalar{Name: "label", Type: shard.Bool}),
		Vectors:   []shard.Vector{{Name: "fc2_3", Width: 16, Dtype: shard.F16}, {Name: "resid_3", Width: 12, Dtype: shard.F32}},
		Units:     []int64{0, 400, 401, 1000},
	}
}

// unitBlocks makes the rows of a unit: data row r has r%7+1 tokens.
func unitBlocks(t testing.TB, p Plan, u int) []*shard.Block {
	t.Helper()
	return shardtest.Fill{}.Blocks(p.Schema(), shardtest.Fill{}.Keys(t, p, u))
}

// putUnit commits a unit's shard, after change has had its way with the blocks.
func putUnit(t testing.TB, st store.Store, p Plan, u int, change func(blocks []*shard.Block)) {
	t.Helper()
	blocks := unitBlocks(t, p, u)
	if change != nil {
		change(blocks)
	}
	shardtest.Put(t, st, UnitKey(u), p.Schema(), p.Identity(u), blocks)
}

// newRun makes a run with its plan and all units but those left out.
func newRun(t testing.TB, p Plan, without ...int) store.Store {
	t.Helper()
	st := mem.New(nil)
	if created, err := CreatePlan(context.Background(), st, p); err != nil || !created {
		t.Fatalf("create plan: %v, %v", created, err)
	}
	for u := range p.NumUnits() {
		if !slices.Contains(without, u) {
			putUnit(t, st, p, u, nil)
		}
	}
	return st
}

func TestPlanRoundTrip(t *testing.T) {
	p := testPlan()
	st := newRun(t, p, 0, 1, 2)
	got, err := ReadPlan(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID() != p.ID() || !got.Schema().Equal(p.Schema()) || len(p.ID()) != 64 {
		t.Errorf("plan %s came back as %s", p.ID(), got.ID())
	}
	if created, err := CreatePlan(t.Context(), st, p); created || err != nil {
		t.Errorf("the same plan again: created %v, %v", created, err)
	}
}

// The id of a plan is for ever: runs are found by it.
func TestPlanID(t *testing.T) {
	const want = "effa4bd9683e2140eb023d5ad00778cc7412d9afbd7eeb4154d69ddc5087f3d6"
	if got := testPlan().ID(); got != want {
		t.Errorf("id %s, want %s", got, want)
	}
}

func TestOtherPlan(t *testing.T) {
	p := testPlan()
	st := newRun(t, p, 0, 1, 2)
	p.MaxTokens, p.Model.Digest, p.Layers = 128, "cc", []int{0, 1}
	p.Vectors, p.Units, p.BatchTokens = p.Vectors[:1], []int64{0, 1000}, 7 // which follow
	_, err := CreatePlan(t.Context(), st, p)
	var mismatch *PlanMismatch
	if !errors.Is(err, ErrOtherPlan) || !errors.As(err, &mismatch) {
		t.Fatalf("another plan: %v", err)
	}
	want := []string{"layers: [0,1] here, [3] in the run", "max_tokens: 128 here, 32 in the run", `model.digest: "cc" here, "aa" in the run`}
	if !slices.Equal(mismatch.Lines, want) {
		t.Errorf("differences %q, want %q", mismatch.Lines, want)
	}
}

func TestPlanValidate(t *testing.T) {
	tests := map[string]func(*Plan){
		"format":         func(p *Plan) { p.Format = 2 },
		"token rule":     func(p *Plan) { p.Tokens = "some" },
		"boundary":       func(p *Plan) { p.Units = []int64{0, 5, 5} },
		"of the 1000":    func(p *Plan) { p.Units = []int64{0, 2000} },
		"row, pos":       func(p *Plan) { p.Scalars = p.Scalars[:3] },
		"the data have":  func(p *Plan) { p.Units = []int64{0, 400} },
		"from row 3":     func(p *Plan) { p.Units = []int64{3, 1000} },
		"max_tokens is":  func(p *Plan) { p.MaxTokens = -1 },
		"data.rows is":   func(p *Plan) { p.Data.Rows, p.Units = -1, nil },
		"hidden is":      func(p *Plan) { p.Model.Hidden = 1 << 60 },
		"batch_tokens":   func(p *Plan) { p.BatchTokens = -7 },
		"layers are":     func(p *Plan) { p.Layers = []int{9} },
		"ascending ones": func(p *Plan) { p.Layers = []int{2, 1} },
		"want two sites": func(p *Plan) { p.Same = map[tap.Site]tap.Site{"attn_out": "elsewhere"} },
		"of which":       func(p *Plan) { p.Same = map[tap.Site]tap.Site{tap.AttnOut: tap.AttnOut} },
		"two columns":    func(p *Plan) { p.Vectors = append(p.Vectors, shard.Vector{Name: "FC2_3", Width: 4, Dtype: shard.F16}) },
	}
	for want, change := range tests {
		p := testPlan()
		change(&p)
		if _, err := CreatePlan(t.Context(), mem.New(nil), p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestReadBadPlan(t *testing.T) {
	good := string(testPlan().Bytes())
	tests := []struct {
		name, text string
		want       error
	}{
		{"half", good[:200], ErrPlan},
		{"edited", strings.Replace(good, "\n  ", "\n ", 1), ErrPlan},
		{"extra field", strings.Replace(good, `"format": 1,`, `"format": 1, "extra": 1,`, 1), ErrPlan},
		{"newer", strings.Replace(good, `"format": 1`, `"format": 2`, 1), shard.ErrSchema},
		{"type", strings.Replace(good, `"int64"`, `"int63"`, 1), ErrPlan},
		{"other rows", strings.Replace(good, `"rows": 1000`, `"rows": 999`, 1), ErrPlan},
	}
	for _, tt := range tests {
		st := mem.New(nil)
		if err := store.Put(t.Context(), st, KeyPlan, []byte(tt.text)); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadPlan(t.Context(), st); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	if _, err := ReadPlan(t.Context(), mem.New(nil)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no plan: %v", err)
	}
}

func TestCommittedAndFinish(t *testing.T) {
	p := testPlan()
	st := newRun(t, p, 1)
	if done, err := Committed(t.Context(), st, p); err != nil || !slices.Equal(done, []bool{true, false, true}) {
		t.Errorf("committed %v, %v", done, err)
	}
	if _, complete, err := Finish(t.Context(), st, p); complete || err != nil {
		t.Errorf("finish without unit 1: %v, %v", complete, err)
	}
	putUnit(t, st, p, 1, nil)
	for range 2 {
		m, complete, err := Finish(t.Context(), st, p)
		if err != nil || !complete || m.PlanID != p.ID() || len(m.Units) != 3 {
			t.Fatalf("finish: %+v, %v, %v", m, complete, err)
		}
		if m.Units[1].Key != UnitKey(1) || m.Units[1].Rows != 1 || len(m.Units[1].SHA256) != 64 {
			t.Errorf("unit 1 is %+v", m.Units[1])
		}
	}
	other := p
	other.MaxTokens = 64
	if _, _, err := Finish(t.Context(), st, other); !errors.Is(err, ErrOtherPlan) {
		t.Errorf("finish another plan: %v", err)
	}
}

func TestFinishNamesTheForeignShard(t *testing.T) {
	p := testPlan()
	st := newRun(t, p, 2)
	other := p
	other.Model.Digest = "other weights"
	putUnit(t, st, other, 2, nil)
	if _, _, err := Finish(t.Context(), st, p); !errors.Is(err, shard.ErrCorrupt) || !strings.Contains(err.Error(), UnitKey(2)) {
		t.Errorf("finish: %v", err)
	}
}

func TestKeys(t *testing.T) {
	for _, u := range []int{0, 7, 123456, 999999} {
		if got, ok := ParseUnitKey(UnitKey(u)); !ok || got != u {
			t.Errorf("%s is unit %d, %v", UnitKey(u), got, ok)
		}
	}
	for _, key := range []string{"acts/unit-1.parquet", "acts/unit-000001", "acts/unit-00001x.parquet", "unit-000001.parquet", "acts/unit--00001.parquet"} {
		if u, ok := ParseUnitKey(key); ok {
			t.Errorf("%s is unit %d", key, u)
		}
	}
	start := time.Date(2031, 2, 3, 4, 5, 6, 7e6, time.UTC)
	for _, key := range []string{UnitKey(3), InputKey("ab"), CodesKey("sae-1", 2), LogKey("node1", start), KeyPlan, KeyManifest} {
		if err := store.CheckKey(key); err != nil {
			t.Error(err)
		}
	}
	for _, key := range []string{LogKey("n", start), LogPieceKey("n", start, 0), LogPieceKey("n", start, 1234)} {
		if got := LogOf(key); got != LogKey("n", start) {
			t.Errorf("%s is of %s", key, got)
		}
	}
	if got := LogPieceKey("n", start, 7); got != "log/n-20310203T040506.007Z.007.jsonl" {
		t.Error(got)
	}
	if got := LogKey("n", start); got != "log/n-20310203T040506.007Z.jsonl" {
		t.Error(got)
	}
}
