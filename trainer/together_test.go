package trainer

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"actfleet/trainer/coder"
	"actfleet/trainer/ranks"
	"actfleet/trainer/ranks/rankstest"
	"actfleet/trainer/stream"
	"actfleet/trainer/vq"
)

// together trains a job on every rank of a group. Only rank 0 may write to the folder.
func together(t *testing.T, world int, job func(dir string) Job, dir string) []error {
	t.Helper()
	return grouped(t, rankstest.New(world), job, dir)
}

func grouped(t *testing.T, group []*rankstest.Rank, job func(dir string) Job, dir string, in ...context.Context) []error {
	t.Helper()
	var all sync.WaitGroup
	errs := make([]error, len(group))
	for i, r := range group {
		j := job(dir)
		if i > 0 {
			j = job(filepath.Join(dir, "not written"))
		}
		j.Ranks = r
		ctx := t.Context()
		if i < len(in) {
			ctx = in[i]
		}
		all.Go(func() {
			defer r.Leave()
			_, errs[i] = Train(ctx, j)
		})
	}
	all.Wait()
	return errs
}

// sameCurve compares what two trainings reported, but for rounding.
func sameCurve(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d lines of metrics, want %d", len(got), len(want))
	}
	for i := range want {
		var a, b map[string]any
		if err := errors.Join(json.Unmarshal([]byte(got[i]), &a), json.Unmarshal([]byte(want[i]), &b)); err != nil {
			t.Fatal(err)
		}
		delete(a, "summed")
		if !slices.Equal(slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b))) {
			t.Fatalf("line %d: %s\nwant %s", i, got[i], want[i])
		}
		for k, v := range b {
			x, ok := v.(float64)
			if y, _ := a[k].(float64); ok && math.Abs(x-y) > 2e-3*math.Abs(x)+1e-6 || !ok && a[k] != v {
				t.Errorf("line %d: %s is %v, want %v", i, k, a[k], v)
			}
		}
	}
}

// Several ranks train as one does with the same batches: the same curve but for rounding, for every family.
func TestRanksLikeOne(t *testing.T) {
	src := made(t)
	for i, kind := range append(slices.Sorted(maps.Keys(families)), coder.SAE, coder.VQ,
		string(vq.Gradient), string(vq.Residual), string(vq.Product), string(vq.IRIS), string(vq.FSQ)) {
		t.Run(kind, func(t *testing.T) {
			make := func(dir string) Job {
				j := archJob(t, kind, dir, src)
				j.Recipe.Loop.Steps, j.Recipe.Loop.EvalSteps = 25, 10
				j.Recipe.SAE.DeadTokens, j.Recipe.Seed = 300, 1
				return j
			}
			one := t.TempDir()
			if _, err := Train(t.Context(), make(one)); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := errors.Join(together(t, 2+i%2, make, dir)...); err != nil {
				t.Fatal(err)
			}
			sameCurve(t, events(t, dir), events(t, one))
		})
	}
}

// short is a job of few steps, each of which is reported.
func short(t *testing.T, src stream.Source) func(dir string) Job {
	return func(dir string) Job {
		j := job(t, coder.SAE, dir, src)
		j.Recipe.Loop.Steps, j.Recipe.Loop.EvalSteps, j.Recipe.Loop.LogSteps, j.Recipe.SAE.DeadTokens = 24, 10, 1, 300
		j.Resume = true
		return j
	}
}

// A rank that leaves ends all of them after the same step, at a checkpoint, from which another number goes on with
// the same curve. The same ranks give the same bytes twice.
func TestRanksChange(t *testing.T) {
	src := made(t)
	job := short(t, src)
	one := t.TempDir()
	if _, err := Train(t.Context(), job(one)); err != nil {
		t.Fatal(err)
	}
	var sums []string
	for range 2 {
		dir := t.TempDir()
		group := rankstest.New(3)
		errs := grouped(t, group, func(d string) Job {
			j := job(d)
			j.Progress = func(e coder.Event) {
				if e.Step == 11 && d == dir {
					group[0].Leaving = true
				}
			}
			return j
		}, dir)
		for rank, err := range errs {
			if !errors.Is(err, ErrRegroup) {
				t.Fatalf("rank %d ended with %v", rank, err)
			}
		}
		if err := errors.Join(together(t, 2, job, dir)...); err != nil {
			t.Fatal(err)
		}
		sameCurve(t, events(t, dir), events(t, one))
		sums = append(sums, weights(t, dir))
	}
	if sums[0] != sums[1] {
		t.Errorf("the same ranks ended in %v", sums)
	}
}

// What fails on one rank fails on all: a folder that holds something else, or that cannot be written any more.
func TestRanksFailTogether(t *testing.T) {
	src := made(t)
	dir := t.TempDir()
	if _, err := Train(t.Context(), short(t, src)(dir)); err != nil {
		t.Fatal(err)
	}
	errs := together(t, 2, func(d string) Job {
		j := short(t, src)(d)
		j.Resume = false
		return j
	}, dir)
	if !errors.Is(errs[0], ErrExists) || !errors.Is(errs[1], ranks.ErrOther) {
		t.Errorf("a folder that is taken: %v", errs)
	}
	dir = t.TempDir()
	errs = together(t, 2, func(d string) Job {
		j := short(t, src)(d)
		j.Progress = func(e coder.Event) {
			if e.Step == 9 && d == dir {
				metrics := filepath.Join(dir, coder.MetricsFile)
				if err := errors.Join(os.Remove(metrics), os.Mkdir(metrics, 0o755)); err != nil {
					t.Error(err)
				}
			}
		}
		return j
	}, dir)
	if errs[0] == nil || !strings.Contains(errs[0].Error(), coder.MetricsFile) || !errors.Is(errs[1], ranks.ErrOther) {
		t.Errorf("a folder that cannot be written: %v", errs)
	}
}

// A rank that vanishes fails the others, and a training goes on from its last checkpoint.
func TestRankVanishes(t *testing.T) {
	src := made(t)
	dir, one := t.TempDir(), t.TempDir()
	group := rankstest.New(2)
	errs := grouped(t, group, func(d string) Job {
		j := short(t, src)(d)
		j.Progress = func(e coder.Event) {
			if e.Step == 17 && d != dir {
				group[1].Leave()
			}
		}
		return j
	}, dir)
	if !errors.Is(errs[0], rankstest.ErrGone) {
		t.Fatalf("rank 0 ended with %v", errs[0])
	}
	for _, d := range []string{dir, one} {
		if _, err := Train(t.Context(), short(t, src)(d)); err != nil {
			t.Fatal(err)
		}
	}
	sameCurve(t, events(t, dir), events(t, one))
}

// While a collection is followed ranks may wait for data for long: one that is interrupted leaves at once, and the other
// notices.
func TestRankLeavesFollowing(t *testing.T) {
	src := made(t)
	dir := t.TempDir()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	errs := grouped(t, rankstest.New(2), func(d string) Job {
		j := short(t, src)(d)
		j.Wait = func(context.Context, int) error { return nil }
		if d != dir {
			j.Progress = func(e coder.Event) {
				if e.Step == 5 {
					leave()
				}
			}
		}
		return j
	}, dir, t.Context(), ctx)
	if !errors.Is(errs[0], rankstest.ErrGone) || !errors.Is(errs[1], ErrInterrupted) {
		t.Errorf("ended with %v", errs)
	}
}
