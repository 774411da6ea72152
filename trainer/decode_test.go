package trainer

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/shard"
	"actfleet/shard/shardtest"
	"actfleet/trainer/coder"
	"actfleet/trainer/codes"
	"actfleet/trainer/measure"
	"actfleet/trainer/vq"
)

// What decode writes are the vectors the codes stand for, and its metrics are those
// of the coder on all rows, unless some have more active latents than are listed.
func TestDecode(t *testing.T) {
	src := made(t)
	for _, arch := range []string{string(vq.EMA), string(vq.Residual), string(vq.FSQ), coder.SAE, "relu"} {
		j := archJob(t, arch, filepath.Join(t.TempDir(), arch), src)
		j.Recipe.Loop.Steps = 20
		if _, err := Train(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		if _, err := codes.Decode(t.Context(), j.Dir, src, nil); err == nil || !strings.Contains(err.Error(), "encode first") {
			t.Errorf("%s: without codes: %v", arch, err)
		}
		if _, err := codes.Encode(t.Context(), j.Dir, src, nil); err != nil {
			t.Fatal(err)
		}
		got, err := codes.Decode(t.Context(), j.Dir, src, nil)
		if err != nil {
			t.Fatal(err)
		}
		e, _, err := measure.Evaluate(t.Context(), j.Dir, j.Runs, measure.EvalOptions{All: true})
		if err != nil {
			t.Fatal(err)
		}
		if got.Rows != int64(e.Metrics["rows"]) || got.Left != 0 || math.Abs(got.Metrics["fvu"]-e.Metrics["fvu"]) > 1e-6 && got.Cut == 0 {
			t.Errorf("%s: decoded %+v, evaluated %v", arch, got, e.Metrics)
		}
		if many := arch == "relu"; many != (got.Cut > 0) || got.Metrics["fvu"] < e.Metrics["fvu"]-1e-6 {
			t.Errorf("%s: %d rows are cut, fvu %v against %v", arch, got.Cut, got.Metrics["fvu"], e.Metrics["fvu"])
		}
		least, most := math.Inf(1), math.Inf(-1)
		n := eachCode(t, src, got.ID, func(r *shard.Reader, g int, _ []any, i int) {
			raw, err := r.Vector(g, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			v := make([]float32, width)
			shard.UnpackF32(v, raw[i*4*width:(i+1)*4*width])
			least, most = min(least, float64(v[0])), max(most, float64(v[0]))
		})
		if int64(n) != got.Rows || !(least < most) || most > 10 {
			t.Errorf("%s: %d rows between %v and %v", arch, n, least, most)
		}
		if again, err := codes.Decode(t.Context(), j.Dir, src, nil); err != nil || again.Metrics["fvu"] != got.Metrics["fvu"] {
			t.Errorf("%s: a second time: %+v, %v", arch, again, err)
		}
	}
}

// A row with a value that is not finite has the ids −1, comes back as NaN, and is left
// out of the measure and counted.
func TestDecodeNonFinite(t *testing.T) {
	clean := made(t)
	j := archJob(t, string(vq.Residual), filepath.Join(t.TempDir(), "residual"), clean)
	j.Recipe.Loop.Steps = 5
	if _, err := Train(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	src := shardtest.Run{Tokens: "all", Units: 1, Rows: make([]shardtest.Row, 40), Vectors: []shard.Vector{{Name: "fc2_3", Width: width, Dtype: shard.F32}},
		Fill: func(_ int, row int64, pos int32, dst []float32) {
			for j := range dst {
				dst[j] = float32(math.Sin(float64(row*31 + int64(pos) + int64(j))))
			}
			if row == 7 {
				dst[3] = float32(math.NaN())
			}
		}}
	for i := range src.Rows {
		src.Rows[i].Tokens = 2
	}
	run := source(t, src)
	id, err := codes.Encode(t.Context(), j.Dir, run, nil)
	if err != nil {
		t.Fatal(err)
	}
	eachCode(t, run, id, func(_ *shard.Reader, _ int, cols []any, i int) {
		bad := cols[0].([]int64)[i] == 7
		if none := cols[2].([]int32)[i] == -1 && cols[5].([]int32)[i] == -1; none != bad || !math.IsNaN(float64(cols[6].([]float32)[i])) == bad {
			t.Errorf("row %d: codes %v, err %v", cols[0].([]int64)[i], cols[2].([]int32)[i], cols[6].([]float32)[i])
		}
	})
	got, err := codes.Decode(t.Context(), j.Dir, run, nil)
	if err != nil || got.Left != 2 || got.Rows != 80 || !(got.Metrics["fvu"] > 0) {
		t.Errorf("decoded %+v, %v; want 2 of 80 rows left out", got, err)
	}
}
