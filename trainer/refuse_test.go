package trainer

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/trainer/coder"
	"actfleet/trainer/stream"
)

// Data that cannot be trained on are refused with one clear line, and nothing is left.
func TestRefusesData(t *testing.T) {
	for part, change := range map[string]func(*Job){
		"batch 9999 is more than the": func(j *Job) { j.Recipe.Loop.Batch = 9999 },
		"the filter keeps no row":     func(j *Job) { j.Recipe.Data.Where, j.Recipe.Data.Holdout = []string{"label = 7"}, 0 },
		"holds no row":                func(j *Job) { j.Recipe.Data.Where = []string{"label = 7"} },
		`no column "labl"`:            func(j *Job) { j.Recipe.Data.Where = []string{"labl = 7"} },
		"want a comparison":           func(j *Job) { j.Recipe.Data.Where = []string{"label"} },
		`non_finite is "maybe"`:       func(j *Job) { j.Recipe.Data.NonFinite = "maybe" },
		"unit 2 of memory":            func(j *Job) { _ = j.Runs[0].Store.Delete(context.Background(), run.UnitKey(2)) },
		"give steps to follow": func(j *Job) {
			j.Recipe.Loop.Epochs, j.Wait = 2, func(context.Context, int) error { return nil }
		},
		"is 16 wide in one run and 8": func(j *Job) { j.Runs = append(j.Runs, narrow(t)) },
	} {
		j := job(t, coder.SAE, filepath.Join(t.TempDir(), "new"), made(t))
		change(&j)
		_, err := Train(t.Context(), j)
		if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
			t.Errorf("want %q, got %v", part, err)
		}
		if _, err := os.Stat(j.Dir); err == nil {
			t.Errorf("%s: a refused training left a folder", part)
		}
	}
}

// narrow is a run with shorter vectors.
func narrow(t testing.TB) stream.Source {
	r := shardtest.Run{Tokens: "all", Units: 2, Rows: []shardtest.Row{{Tokens: 3}, {Tokens: 4}},
		Vectors: []shard.Vector{{Name: "fc2_3", Width: 8, Dtype: shard.F16}}, Fill: func(int, int64, int32, []float32) {}}
	return source(t, r)
}

// Rows that are not finite are left out and counted, also over an interruption; or they
// end the training, as asked.
func TestNonFiniteRows(t *testing.T) {
	r := shardtest.Run{Tokens: "all", Units: 3, Rows: make([]shardtest.Row, 300), Vectors: []shard.Vector{{Name: "fc2_3", Width: width, Dtype: shard.F16}},
		Fill: func(_ int, row int64, pos int32, dst []float32) {
			for j := range dst {
				dst[j] = float32(math.Sin(float64(int(row)*7 + int(pos)*3 + j*j)))
			}
			if row%50 == 0 && pos == 0 {
				dst[3] = float32(math.NaN())
			}
		}}
	for i := range r.Rows {
		r.Rows[i] = shardtest.Row{Tokens: 1 + i%5}
	}
	src := source(t, r)
	j := job(t, coder.SAE, t.TempDir(), src)
	j.Recipe.Data.Holdout, j.Recipe.Loop.Steps, j.Recipe.Loop.Epochs, j.Recipe.Loop.Batch = 0, 0, 2, 60
	res, err := Train(t.Context(), j)
	if err != nil || res.Dropped != 12 {
		t.Errorf("left out %d rows in two epochs, want 12: %v", res.Dropped, err)
	}
	parts := j
	parts.Dir = t.TempDir()
	if err := interrupted(t, []Job{parts}, 3); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	parts.Resume = true
	if again, err := Train(t.Context(), parts); err != nil || again.Dropped != 12 {
		t.Errorf("in two parts %d rows, want 12: %v", again.Dropped, err)
	}
	j.Dir, j.Recipe.Data.NonFinite = t.TempDir(), "fail"
	if _, err := Train(t.Context(), j); !errors.Is(err, stream.ErrNonFinite) || !strings.Contains(err.Error(), "unit") {
		t.Errorf("got %v", err)
	}
}
