package shard_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	. "actfleet/shard"
	"actfleet/shard/run"
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

// goldenBlocks makes the rows of a unit by arithmetic alone: data row r has r%4+1 tokens.
func goldenBlocks(p run.Plan, u int) []*Block {
	blocks := []*Block{NewBlock(p.Schema())}
	lo, hi := p.UnitRange(u)
	for row := lo; row < hi; row++ {
		n := int32(row%4 + 1)
		for pos := range n {
			if blocks[len(blocks)-1].Rows == RowGroupRows {
				blocks = append(blocks, NewBlock(p.Schema()))
			}
			goldenRow(blocks[len(blocks)-1], p.Schema(), RowKey{row, pos, n})
		}
	}
	return blocks
}

func goldenRow(b *Block, s Schema, at RowKey) {
	i := b.Rows
	b.Rows++
	key := at.Row*10 + int64(at.Pos)
	scalars := []any{at.Row, at.Pos, at.Tokens, int32(key % 50), "tök" + string(rune('a'+key%26)), key%3 == 0, "group " + string(rune('A'+at.Row%5)),
		float32(key) / 8, float64(key) / 7, -key}
	for c, v := range scalars {
		setScalar(b.Scalars[c], i, v)
	}
	for c, v := range s.Vectors {
		src := make([]float32, v.Width)
		for j := range src {
			src[j] = float32((key*31+int64(j)*7+int64(c))%97-48) / 8
		}
		pack := PackF16
		if v.Dtype == F32 {
			pack = PackF32
		}
		b.Stats[c].Merge(pack(b.Vectors[c][i*v.RowBytes():], src))
	}
}

func setScalar(column any, i int, v any) {
	switch c := column.(type) {
	case []int64:
		c[i] = v.(int64)
	case []int32:
		c[i] = v.(int32)
	case []float32:
		c[i] = v.(float32)
	case []float64:
		c[i] = v.(float64)
	case []bool:
		c[i] = v.(bool)
	case []string:
		c[i] = v.(string)
	}
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
		for _, b := range goldenBlocks(p, u) {
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
		wantGolden(t, r, goldenBlocks(p, u))
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
