package trainer

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/trainer/coder"
	"actfleet/trainer/codes"
	"actfleet/trainer/measure"
	"actfleet/trainer/recipe"
	"actfleet/trainer/stream"
	"actfleet/trainer/vq"
)

// eachCode reads every row of a run's code shards by key.
func eachCode(t testing.TB, src stream.Source, id string, use func(r *shard.Reader, g int, cols []any, i int)) (rows int) {
	t.Helper()
	seen := map[[2]int64]bool{}
	for u := range src.Plan.NumUnits() {
		r, err := shard.Open(t.Context(), src.Store, run.CodesKey(id, u))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if r.Identity() != src.Plan.Identity(u) {
			t.Errorf("unit %d says it is %+v", u, r.Identity())
		}
		for g := range r.NumGroups() {
			cols, err := r.Scalars(g)
			if err != nil {
				t.Fatal(err)
			}
			for i := range r.GroupRows(g) {
				key := [2]int64{cols[0].([]int64)[i], int64(cols[1].([]int32)[i])}
				if seen[key] {
					t.Fatalf("%v twice", key)
				}
				seen[key] = true
				use(r, g, cols, i)
				rows++
			}
		}
	}
	return rows
}

func TestEncode(t *testing.T) {
	src := made(t)
	total := 0
	for i := range 600 {
		total += 2 + i%9
	}
	checks := map[string]func(r *shard.Reader, g int, cols []any, i int){
		coder.VQ: func(_ *shard.Reader, _ int, cols []any, i int) {
			if k := cols[2].([]int32)[i]; k < 0 || k >= 24 {
				t.Fatalf("code %d", k)
			}
		},
		coder.SAE: func(r *shard.Reader, g int, cols []any, i int) {
			latents := make([]float32, r.GroupRows(g)*3)
			raw, err := r.Vector(g, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			shard.UnpackF32(latents, raw)
			for j, l := range latents[i*3 : i*3+3] {
				if active := j < int(cols[2].([]int32)[i]); active != (l >= 0) || l >= 48 {
					t.Fatalf("latent %d of %d active is %v", j, cols[2].([]int32)[i], l)
				}
			}
		},
	}
	checks["batchtopk"] = checks[coder.SAE] // rows with more than k list the greatest
	checks[string(vq.Residual)] = func(r *shard.Reader, _ int, cols []any, i int) {
		if names := r.Schema().Scalars; len(cols) != 7 || names[2].Name != "code_0" || names[5].Name != "code_3" || names[6].Name != "err" {
			t.Fatalf("columns %v", names)
		}
		for _, c := range cols[2:6] {
			if k := c.([]int32)[i]; k < 0 || k >= 24 {
				t.Fatalf("code %d", k)
			}
		}
	}
	for kind, check := range checks {
		j := archJob(t, kind, filepath.Join(t.TempDir(), kind), src)
		j.Recipe.Loop.Steps = 5
		if _, err := Train(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		units := 0
		id, err := codes.Encode(t.Context(), j.Dir, src, func(int, int) { units++ })
		if err != nil || units != 4 || !strings.HasPrefix(id, j.Recipe.Kind+"_fc2_3_") {
			t.Fatalf("%q, %d units, %v", id, units, err)
		}
		if n := eachCode(t, src, id, check); n != total {
			t.Errorf("%s: %d rows, want %d", kind, n, total)
		}
		if again, err := codes.Encode(t.Context(), j.Dir, src, nil); again != id || err != nil {
			t.Errorf("a second time: %q, %v", again, err)
		}
	}
	if _, err := codes.Encode(t.Context(), t.TempDir(), src, nil); err == nil {
		t.Error("an empty folder is accepted")
	}
}

func TestFitProbes(t *testing.T) {
	run := shardtest.Run{Tokens: "all", Units: 2, Rows: make([]shardtest.Row, 300),
		Vectors: []shard.Vector{{Name: "resid_0", Width: 8, Dtype: shard.F16}, {Name: "resid_1", Width: 8, Dtype: shard.F16}},
		Fill: func(c int, row int64, pos int32, dst []float32) {
			for j := range dst {
				dst[j] = float32(math.Sin(float64(row*17 + int64(j)*int64(pos+5))))
			}
			dst[2] += float32(c) * 3 * float32(row%2)
		}}
	for i := range run.Rows {
		run.Rows[i] = shardtest.Row{Tokens: 2 + i%5, Label: int32(i % 2), Group: string(rune('A' + i/6)), Split: []string{"train", "train", "val", "test", "train"}[i/6%5]}
	}
	src := source(t, run)
	j := ProbeJob{Dir: filepath.Join(t.TempDir(), "probes"), Runs: []stream.Source{src}, Columns: []string{"resid_0", "resid_1"}, Recipe: recipe.Default(coder.Probe)}
	rep, c, err := FitProbes(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	if best := rep.Best(); rep.Probes[best].Column != "resid_1" || c.Kind != coder.Probe || len(c.Probes) != 4 {
		t.Errorf("best %s of %d", rep.Probes[best].ID, len(c.Probes))
	}
	id, err := codes.Encode(t.Context(), j.Dir, src, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[int64]int{}
	for i, row := range rep.Rows.Row {
		want[row] = i
	}
	n := eachCode(t, src, id, func(r *shard.Reader, _ int, cols []any, i int) {
		at := want[cols[0].([]int64)[i]]
		for p := range rep.Probes {
			if got := cols[3+p].([]float32)[i]; math.Abs(float64(got)-rep.Scores[p][at]) > 1e-6 {
				t.Fatalf("%s: score %v, want %v", rep.Probes[p].ID, got, rep.Scores[p][at])
			}
		}
		if cols[2].([]float32)[i] != cols[3+rep.Best()].([]float32)[i] {
			t.Fatal("score is not the best probe's")
		}
	})
	if n != 300 {
		t.Errorf("%d rows, want one a prompt", n)
	}
	if _, _, err := FitProbes(t.Context(), j); err == nil {
		t.Error("a second sweep into the folder is accepted")
	}
}

// A run whose vectors have another length is refused with both lengths.
func TestEncodeOtherWidth(t *testing.T) {
	j := job(t, coder.VQ, filepath.Join(t.TempDir(), "vq"), made(t))
	j.Recipe.Loop.Steps = 2
	if _, err := Train(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	other := source(t, shardtest.Run{Tokens: "all", Units: 1, Rows: []shardtest.Row{{Tokens: 3}}, Vectors: []shard.Vector{{Name: "fc2_3", Width: 8, Dtype: shard.F16}},
		Fill: func(_ int, _ int64, _ int32, dst []float32) { dst[0] = 1 }})
	want := "column fc2_3 has vectors of 8, the tokenizer was trained on vectors of 16"
	if _, err := codes.Encode(t.Context(), j.Dir, other, nil); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("encode: %v", err)
	}
	if _, err := measure.Compare(t.Context(), []string{j.Dir}, []stream.Source{other}, measure.CompareOptions{CoefBits: 8}); err == nil || !strings.Contains(err.Error(), "has 8") {
		t.Errorf("compare: %v", err)
	}
}
