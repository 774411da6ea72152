package shard_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	. "actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/shard/store"
	"actfleet/shard/store/local"
	"actfleet/shard/store/mem"
	"actfleet/shard/tap"
)

// goldenDir holds a run of format 1. It must be readable for ever; -update is for a change of the bytes that the
// readers of today do not notice, such as a new version of parquet-go.
const goldenDir = "testdata/v1"

func goldenPlan() run.Plan {
	return run.Plan{
		Format:    run.PlanFormat,
		Model:     run.ModelRef{Name: "golden", Arch: "PhiForCausalLM", Digest: "d1", Layers: 2, Hidden: 4, MaxPositions: 16},
		Adapters:  []run.AdapterRef{{Name: "ia3", Digest: "d2"}},
		Data:      run.DataRef{Name: "facts", Digest: "d3", Rows: 300, Input: run.InputKey("d3")},
		Choices:   []string{"no", "yes"},
		MaxTokens: 8,
		Sites:     []tap.Site{tap.Wqkv, tap.Resid},
		Layers:    []int{1},
		Tokens:    "all",
		Dtype:     "auto",
		Compute:   "f32",
		Device:    "cpu",
		Scalars: append(BaseScalars(), Scalar{Name: "label", Type: Bool}, Scalar{Name: "group", Type: String}, Scalar{Name: "p_no", Type: Float32},
			Scalar{Name: "score", Type: Float64}, Scalar{Name: "choice", Type: Int64}),
		Vectors: []Vector{{Name: "Wqkv_1", Width: 6, Dtype: F16}, {Name: "resid_1", Width: 4, Dtype: F32}, {Name: "resid_1__ia3", Width: 1, Dtype: F16}},
		Units:   []int64{0, 250, 300},
	}
}

// goldenFill gives the values by arithmetic alone: data row r has r%4+1 tokens.
func goldenFill() shardtest.Fill {
	return shardtest.Fill{
		Tokens: func(row int64) int { return int(row%4 + 1) },
		Scalar: goldenScalar,
		Vector: func(column string, at RowKey, dst []float32) {
			c := slices.IndexFunc(goldenPlan().Vectors, func(v Vector) bool { return v.Name == column })
			for j := range dst {
				dst[j] = float32((goldenKey(at)*31+int64(j)*7+int64(c))%97-48) / 8
			}
		},
	}
}

func goldenKey(at RowKey) int64 { return at.Row*10 + int64(at.Pos) }

func goldenScalar(column string, at RowKey) any {
	key := goldenKey(at)
	return map[string]any{"row": at.Row, "pos": at.Pos, "n_tokens": at.Tokens, "token_id": int32(key % 50), "token": "tök" + string(rune('a'+key%26)),
		"label": key%3 == 0, "group": "group " + string(rune('A'+at.Row%5)), "p_no": float32(key) / 8, "score": float64(key) / 7, "choice": -key}[column]
}

// goldenBlocks makes the rows of a unit.
func goldenBlocks(t *testing.T, p run.Plan, u int) []*Block {
	t.Helper()
	f := goldenFill()
	return f.Blocks(p.Schema(), f.Keys(t, p, u))
}

// goldenRun writes the run. Its first vector column has pages of 128 rows, as a wide column has.
func goldenRun(t *testing.T) (store.Store, run.Plan) {
	t.Helper()
	p, st := goldenPlan(), mem.New(nil)
	if _, err := run.CreatePlan(t.Context(), st, p); err != nil {
		t.Fatal(err)
	}
	for u := range p.NumUnits() {
		var file bytes.Buffer
		w, err := NewWriter(&file, p.Schema(), p.Identity(u))
		if err != nil {
			t.Fatal(err)
		}
		w.SetPageRows(0, 128)
		for _, b := range goldenBlocks(t, p, u) {
			if err := w.WriteBlock(b); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := store.Put(t.Context(), st, run.UnitKey(u), file.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if _, complete, err := run.Finish(t.Context(), st, p); err != nil || !complete {
		t.Fatal(complete, err)
	}
	return st, p
}

func TestGoldenBytes(t *testing.T) {
	st, _ := goldenRun(t)
	infos, err := st.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		got, err := store.Get(t.Context(), st, info.Key, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(goldenDir, filepath.FromSlash(info.Key))
		if *Update {
			WriteFile(t, path, got)
		}
		want, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the writer writes now (%v); a change of bytes needs a reason, and then -update", path, err)
		}
	}
}

func TestGoldenOpens(t *testing.T) {
	st, err := local.New(goldenDir)
	if err != nil {
		t.Fatal(err)
	}
	p := goldenPlan()
	if got, err := run.ReadPlan(t.Context(), st); err != nil || got.ID() != p.ID() {
		t.Fatalf("plan %s, %v", got.ID(), err)
	}
	r, err := run.Check(t.Context(), st, run.CheckOptions{})
	if err != nil || !r.Sound() || !r.Complete || r.Rows != 750 {
		t.Errorf("%+v, %v", r, err)
	}
	for u := range p.NumUnits() {
		r, err := Open(t.Context(), st, run.UnitKey(u))
		if err != nil {
			t.Fatal(err)
		}
		wantGolden(t, r, goldenBlocks(t, p, u))
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func wantGolden(t *testing.T, r *Reader, blocks []*Block) {
	t.Helper()
	for g, b := range blocks {
		WantScalars(t, r, g, b)
		for i, v := range r.Schema().Vectors {
			got, err := r.Vector(g, i, nil)
			if err != nil || !bytes.Equal(got, b.Vectors[i][:b.Rows*v.RowBytes()]) {
				t.Errorf("group %d, %s differs, %v", g, v.Name, err)
			}
		}
	}
}
