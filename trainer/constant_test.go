package trainer

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"actfleet/shard"
	"actfleet/shard/shardtest"
	"actfleet/trainer/coder"
	"actfleet/trainer/stream"
	"actfleet/trainer/vq"
)

// still is a run in which some columns, or all, have one value.
func still(t *testing.T, constant func(j int) bool) stream.Source {
	t.Helper()
	r := shardtest.Run{Tokens: "last", Units: 2, Rows: make([]shardtest.Row, 800),
		Vectors: []shard.Vector{{Name: "fc2_3", Width: width, Dtype: shard.F16}, {Name: "resid_4", Width: 10, Dtype: shard.F32}},
		Fill: func(_ int, row int64, _ int32, dst []float32) {
			for j := range dst {
				if dst[j] = 0.1 * float32(j%3); !constant(j) {
					dst[j] = float32(math.Sin(float64(row*row%97) * float64(j+1)))
				}
			}
		}}
	for i := range r.Rows {
		r.Rows[i] = shardtest.Row{Tokens: 1}
	}
	return source(t, r)
}

// Columns without variance harm no kind of coder; rows that are all the same are refused in one line.
func TestZeroVariance(t *testing.T) {
	some := still(t, func(j int) bool { return j%4 == 1 || j == 0 })
	all := still(t, func(int) bool { return true })
	for _, kind := range append(slices.Sorted(maps.Keys(families)), coder.SAE, coder.VQ,
		string(vq.Gradient), string(vq.Residual), string(vq.Product), string(vq.IRIS), string(vq.FSQ)) {
		j := archJob(t, kind, t.TempDir(), some)
		j.Recipe.Loop.Steps = 10
		res, err := Train(t.Context(), j)
		if err != nil || !(res.Eval["fvu"] >= 0) || res.Eval["fvu"] == 0 {
			t.Errorf("%s: fvu %v, %v", kind, res.Eval["fvu"], err)
		}
		j = archJob(t, kind, t.TempDir(), all)
		j.Recipe.Loop.Steps = 10
		if _, err = Train(t.Context(), j); err == nil || !strings.Contains(err.Error(), "needs finite rows that differ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: rows that are all the same: %v", kind, err)
		}
	}
}
