package trainer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/trainer/coder"
	"actfleet/trainer/stream"
)

// sweepJobs are learners of several kinds, sizes and seeds, of two readings.
func sweepJobs(t testing.TB, src stream.Source, dir string) (jobs []Job) {
	for i, kind := range []string{coder.SAE, coder.SAE, coder.VQ, "jumprelu", "batchtopk", coder.SAE} {
		j := archJob(t, kind, filepath.Join(dir, string(rune('a'+i))), src)
		j.Recipe.Seed = uint64(i)
		switch i {
		case 1:
			j.Recipe.SAE.Width, j.Recipe.Loop.Steps, j.Recipe.Loop.InitRows, j.Recipe.Loop.EvalSteps = 32, 41, 600, 10
		case 2:
			j.Recipe.Loop.Micro, j.Recipe.Loop.EvalRows = 128, 100
		case 5:
			j.Recipe.Loop.Batch = 64
		}
		jobs = append(jobs, j)
	}
	return jobs
}

// A coder of a sweep ends in the same bytes and the same metrics as one that is
// trained alone, also when the sweep was interrupted again and again.
func TestSweepEqualsAlone(t *testing.T) {
	src := made(t)
	alone, together, parts := t.TempDir(), t.TempDir(), t.TempDir()
	for _, j := range sweepJobs(t, src, alone) {
		if _, err := Train(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	res, err := TrainAll(t.Context(), sweepJobs(t, src, together))
	if err != nil {
		t.Fatal(err)
	}
	if res[1].Steps != 41 || res[0].Steps != 60 || res[0].Card.K != 3 {
		t.Errorf("results %+v", res)
	}
	stops := 0
	for err = ErrInterrupted; errors.Is(err, ErrInterrupted); stops++ {
		err = interrupted(t, sweepJobs(t, src, parts), 30)
	}
	if err != nil || stops < 3 {
		t.Fatalf("%d parts, %v", stops, err)
	}
	for i, a := range sweepJobs(t, src, alone) {
		for _, dir := range []string{together, parts} {
			b := sweepJobs(t, src, dir)[i]
			if weights(t, a.Dir) != weights(t, b.Dir) {
				t.Errorf("%s: the weights differ", b.Dir)
			}
			if !slices.Equal(events(t, a.Dir), events(t, b.Dir)) {
				t.Errorf("%s: the metrics differ", b.Dir)
			}
		}
	}
}

// interrupted goes on with jobs until so many events.
func interrupted(t testing.TB, jobs []Job, after int) error {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	for i := range jobs {
		jobs[i].Resume = true
		jobs[i].Progress = func(coder.Event) {
			if seen++; seen == after {
				cancel()
			}
		}
	}
	_, err := TrainAll(ctx, jobs)
	return err
}

// A coder that fails is named; the others end, and afterwards it can go on.
func TestSweepFailure(t *testing.T) {
	src := made(t)
	dir := t.TempDir()
	jobs := sweepJobs(t, src, dir)
	if err := os.MkdirAll(filepath.Join(jobs[0].Dir, coder.MetricsFile), 0o700); err != nil {
		t.Fatal(err)
	}
	res, err := TrainAll(t.Context(), jobs)
	if err == nil || !strings.Contains(err.Error(), jobs[0].Dir) || res[0].Failed == "" {
		t.Errorf("got %v, %+v", err, res[0])
	}
	for i, j := range jobs[1:] {
		if res[i+1].Failed != "" || weights(t, j.Dir) == "" {
			t.Errorf("%s did not end: %s", j.Dir, res[i+1].Failed)
		}
	}
	if err := os.Remove(filepath.Join(jobs[0].Dir, coder.MetricsFile)); err != nil {
		t.Fatal(err)
	}
	jobs[0].Resume = true
	if _, err := Train(t.Context(), jobs[0]); err != nil {
		t.Error(err)
	}
	if _, err := TrainAll(t.Context(), []Job{jobs[1], jobs[1]}); err == nil || !strings.Contains(err.Error(), "two trainings") {
		t.Errorf("one folder twice: %v", err)
	}
}

// With Fork a training goes on with another config, and cfg.json tells so.
func TestFork(t *testing.T) {
	src := made(t)
	j := job(t, coder.SAE, t.TempDir(), src)
	j.Recipe.Loop.Steps = 20
	if _, err := Train(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	j.Resume, j.Recipe.Loop.Steps, j.Recipe.Data.Seed = true, 30, 9
	if _, err := Train(t.Context(), j); !errors.Is(err, ErrOther) || !strings.Contains(err.Error(), "--fork") {
		t.Fatalf("without Fork: %v", err)
	}
	j.Fork = true
	res, err := Train(t.Context(), j)
	if err != nil || res.Steps != 30 {
		t.Fatalf("%+v, %v", res, err)
	}
	there, err := coder.ReadCard(j.Dir)
	if err != nil || len(there.Forks) != 1 || there.Forks[0].Step != 20 || !slices.Contains(there.Forks[0].Changed, "steps: 30 here, 20 in the folder") {
		t.Errorf("forks %+v, %v", there.Forks, err)
	}
	j.Recipe.SAE.Width = 64
	if _, err := Train(t.Context(), j); err == nil {
		t.Error("another width goes on")
	}
}

func TestPlanMemory(t *testing.T) {
	jobs := sweepJobs(t, made(t), t.TempDir())
	m, err := PlanMemory(jobs)
	if err != nil || m.Feeds != 2 || len(m.Learners) != len(jobs) {
		t.Fatalf("%+v, %v", m, err)
	}
	if least := int64(2 * 48 * width * 4 * 4); m.Learners[0] < least || m.Learners[0] <= m.Learners[1] {
		t.Errorf("learners take %v, at least %d of the first", m.Learners, least)
	}
	jobs[0].Column = "fc9_9"
	if _, err := PlanMemory(jobs); err == nil {
		t.Error("a column that is not there has a size")
	}
}
