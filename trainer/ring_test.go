package trainer

import (
	"context"
	"errors"
	"strings"
	"testing"

	"actfleet/shard/run"
	"actfleet/trainer/coder"
	"actfleet/trainer/ranks/rankstest"
	"actfleet/trainer/stream"
)

// ringed is a run of four units under a plan that makes it a ring which holds them all.
func ringed(t testing.TB) stream.Source {
	plain := made(t)
	m, _, err := run.Finish(context.Background(), plain.Store, plain.Plan)
	if err != nil {
		t.Fatal(err)
	}
	return madeUnder(t, &run.Ring{Bytes: 1 << 20, Units: 4, Rows: m.Rows(), Readers: []string{"a", "b"}})
}

// ringJob reads a ring as a.
func ringJob(t testing.TB, dir string, src stream.Source) Job {
	j := job(t, coder.SAE, dir, src)
	j.Reader, j.Resume = "a", true
	j.Recipe.Data.Span, j.Recipe.Data.Sinks, j.Recipe.Loop.Steps = 1, stream.KeepSinks, 20
	j.Wait = func(ctx context.Context, _ int) error { return errors.New("a unit is not there") }
	return j
}

// What cannot read a ring is refused before anything is read, and told what to do.
func TestRingRefusals(t *testing.T) {
	src := ringed(t)
	tests := map[string]func(j *Job){
		`give --reader one of them, not "c"`: func(j *Job) { j.Reader = "c" },
		"give --follow":                      func(j *Job) { j.Wait = nil },
		"not with other runs":                func(j *Job) { j.Runs = append(j.Runs, made(t)) },
		"train in one process":               func(j *Job) { j.Ranks = rankstest.New(2)[0] },
		"give steps instead of epochs":       func(j *Job) { j.Recipe.Loop.Epochs = 1 },
		"lower steps":                        func(j *Job) { j.Recipe.Loop.Steps = 1000 },
		"lower init_rows or raise span":      func(j *Job) { j.Recipe.Loop.InitRows = 2000 },
		"no run is a ring":                   func(j *Job) { j.Runs = []stream.Source{made(t)} },
	}
	for want, spoil := range tests {
		j := ringJob(t, t.TempDir(), src)
		spoil(&j)
		if _, err := Train(t.Context(), j); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	small := src
	small.Plan.Ring = &run.Ring{Bytes: 1, Units: 3, Rows: 1 << 20, Readers: []string{"a"}}
	j := ringJob(t, t.TempDir(), small)
	j.Recipe.Data.Span = 2
	if _, err := Train(t.Context(), j); err == nil || !strings.Contains(err.Error(), "set span to at most 1") {
		t.Errorf("a span that does not fit: %v", err)
	}
	other := ringJob(t, t.TempDir(), src)
	other.Recipe.Loop.Batch = 64
	if _, err := TrainAll(t.Context(), []Job{ringJob(t, t.TempDir(), src), other}); err == nil || !strings.Contains(err.Error(), "must read alike") {
		t.Errorf("trainings of different batches: %v", err)
	}
}

// Two trainings that are one reader acknowledge what both have read, and end with the weights of each alone; a run whose
// shards stay gives the same.
func TestRingReadTogether(t *testing.T) {
	src := ringed(t)
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	second := ringJob(t, dirs[1], src)
	second.Column, second.Recipe.Loop.Steps = "resid_4", 15
	if _, err := TrainAll(t.Context(), []Job{ringJob(t, dirs[0], src), second}); err != nil {
		t.Fatal(err)
	}
	alone := ringJob(t, dirs[2], made(t))
	alone.Reader, alone.Wait = "", nil
	if _, err := Train(t.Context(), alone); err != nil {
		t.Fatal(err)
	}
	if weights(t, dirs[0]) != weights(t, dirs[2]) {
		t.Error("the weights differ from those of a run that stays")
	}
	r, err := run.Check(t.Context(), src.Store, run.CheckOptions{})
	if err != nil || !r.Sound() || !r.Readers[0].Ended || r.Readers[0].Rows < 20*128 || r.Gone > 0 {
		t.Errorf("check: %+v, %v", r, err)
	}
	if _, err := Train(t.Context(), ringJob(t, dirs[0], src)); !errors.Is(err, ErrReaderEnded) {
		t.Errorf("once more: %v", err)
	}
}

// A training whose folder is lost is refused: what its reader acknowledged may be deleted.
func TestRingFolderLost(t *testing.T) {
	src := ringed(t)
	ctx, stop := context.WithCancel(t.Context())
	j := ringJob(t, t.TempDir(), src)
	j.Progress = func(e coder.Event) {
		if e.Step >= 15 {
			stop()
		}
	}
	if _, err := Train(ctx, j); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	if _, err := Train(t.Context(), ringJob(t, t.TempDir(), src)); !errors.Is(err, run.ErrOtherReader) {
		t.Errorf("another folder: %v", err)
	}
	j.Progress = nil
	if _, err := Train(t.Context(), j); err != nil {
		t.Errorf("its own folder: %v", err)
	}
}

// A ring that has fewer rows than the steps need ends at a checkpoint, from which fewer steps end the training.
func TestRingRunsOut(t *testing.T) {
	src := ringed(t)
	j := ringJob(t, t.TempDir(), src)
	j.Recipe.Loop.Steps = int(src.Plan.Ring.Rows/int64(j.Recipe.Loop.Batch)) + 1 // without those held out
	_, err := Train(t.Context(), j)
	if err == nil || !strings.Contains(err.Error(), "--resume --fork --set steps=") {
		t.Fatal(err)
	}
	_, steps, _ := strings.Cut(err.Error(), "--set ")
	steps, _, _ = strings.Cut(steps, ";")
	if err := j.Recipe.Set(steps); err != nil {
		t.Fatal(err)
	}
	j.Fork = true
	again := j
	again.Recipe.Data.ShuffleWindow++
	if _, err := Train(t.Context(), again); !errors.Is(err, ErrOther) {
		t.Errorf("a fork that reads differently: %v", err)
	}
	if _, err := Train(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	r, err := run.Check(t.Context(), src.Store, run.CheckOptions{})
	if err != nil || !r.Sound() || r.Readers[0].Rows != src.Plan.Ring.Rows {
		t.Errorf("check: %+v, %v", r, err)
	}
}
