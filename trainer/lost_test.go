package trainer

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"actfleet/internal/mapped"
	"actfleet/shard"
	"actfleet/shard/arrow"
	"actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/shard/store/local"
	"actfleet/trainer/coder"
	"actfleet/trainer/codes"
	"actfleet/trainer/measure"
	"actfleet/trainer/recipe"
	"actfleet/trainer/stream"
)

// lostRun is a run in a directory, whole and as it is where its shards become shorter while they are read.
func lostRun(t *testing.T) (whole, cut stream.Source) {
	t.Helper()
	dir := t.TempDir()
	st, err := local.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := shardtest.Run{Tokens: "all", Units: 2, Rows: make([]shardtest.Row, 400), Vectors: []shard.Vector{{Name: "fc2_3", Width: 16, Dtype: shard.F16}},
		Fill: func(_ int, row int64, pos int32, x []float32) {
			for j := range x {
				x[j] = float32((int(row)*7+int(pos)*13+j*5)%17) - 8 + float32(row%2)*3
			}
		}}
	for i := range r.Rows {
		r.Rows[i] = shardtest.Row{Tokens: 4, Label: int32(i % 2), Group: string(rune('a' + i/2)), Split: []string{"train", "val", "test"}[i/2%3]}
	}
	whole = stream.Source{Store: st, Plan: r.Write(t, st)}
	cut = whole
	cut.Store = shardtest.Shortening{Store: st, TB: t, Dir: dir}
	return whole, cut
}

// lostJob is a training on a run of lostRun.
func lostJob(dir string, src stream.Source) Job {
	r := recipe.Default(coder.SAE)
	r.SAE.Width, r.SAE.K, r.Loop.InitRows, r.Loop.Batch, r.Loop.Micro, r.Loop.Steps, r.Data.Holdout = 32, 3, 200, 128, 64, 3, 0
	return Job{Dir: dir, Runs: []stream.Source{src}, Column: "fc2_3", Recipe: r, Now: time.Now}
}

func lostProbes(dir string, src stream.Source) ProbeJob {
	r := recipe.Default(coder.Probe)
	return ProbeJob{Dir: dir, Runs: []stream.Source{src}, Columns: []string{"fc2_3"}, Recipe: r}
}

// A shard that becomes shorter while it is mapped ends whoever reads it with an error that names it, and nothing else.
func TestEveryReaderNamesTheShardThatBecameShorter(t *testing.T) {
	trained := func(t *testing.T, src stream.Source) string {
		dir := filepath.Join(t.TempDir(), "coder")
		if _, err := Train(t.Context(), lostJob(dir, src)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	readers := map[string]func(ctx context.Context, t *testing.T, whole, cut stream.Source) error{
		"train": func(ctx context.Context, t *testing.T, _, cut stream.Source) error {
			_, err := Train(ctx, lostJob(t.TempDir(), cut))
			return err
		},
		"probes": func(ctx context.Context, t *testing.T, _, cut stream.Source) error {
			_, _, err := FitProbes(ctx, lostProbes(t.TempDir(), cut))
			return err
		},
		"evaluate": func(ctx context.Context, t *testing.T, whole, cut stream.Source) error {
			_, _, err := measure.Evaluate(ctx, trained(t, whole), []stream.Source{cut}, measure.EvalOptions{All: true})
			return err
		},
		"encode": func(ctx context.Context, t *testing.T, whole, cut stream.Source) error {
			_, err := codes.Encode(ctx, trained(t, whole), cut, nil)
			return err
		},
		"decode": func(ctx context.Context, t *testing.T, whole, cut stream.Source) error {
			dir := trained(t, whole)
			if _, err := codes.Encode(ctx, dir, whole, nil); err != nil {
				return err
			}
			_, err := codes.Decode(ctx, dir, cut, nil)
			return err
		},
		"arrow": func(ctx context.Context, _ *testing.T, _, cut stream.Source) error {
			return arrow.Run(ctx, io.Discard, cut.Store)
		},
		"manifest": func(ctx context.Context, _ *testing.T, _, cut stream.Source) error {
			_, _, err := run.Finish(ctx, cut.Store, cut.Plan)
			return err
		},
		"check": func(ctx context.Context, _ *testing.T, _, cut stream.Source) error {
			r, err := run.Check(ctx, cut.Store, run.CheckOptions{})
			if err != nil || len(r.Damage) == 0 {
				t.Fatalf("%+v, %v", r, err)
			}
			return errors.Join(errors.New(strings.Join(r.Damage, "; ")), mapped.ErrLost)
		},
	}
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			whole, cut := lostRun(t)
			if err := read(t.Context(), t, whole, cut); !errors.Is(err, mapped.ErrLost) || !strings.Contains(err.Error(), "acts/unit-00000") {
				t.Errorf("%v", err)
			}
		})
	}
}
