package trainer

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/trainer/coder"
	"actfleet/trainer/folder"
)

// While one process trains into a folder, another that trains, fits probes or imports there is refused, whatever lies
// in the folder, and told who has it. A refused one leaves nothing.
func TestOneFolderIsTrainedByOneProcess(t *testing.T) {
	src := made(t)
	dir := filepath.Join(t.TempDir(), "coder")
	release, err := folder.Claim(t.Context(), dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	whole, _ := lostRun(t)
	for name, write := range map[string]func() error{
		"train": func() error { _, err := Train(t.Context(), job(t, coder.SAE, dir, src)); return err },
		"resume": func() error {
			j := job(t, coder.SAE, dir, src)
			j.Resume = true
			_, err := Train(t.Context(), j)
			return err
		},
		"probes": func() error { _, _, err := FitProbes(t.Context(), lostProbes(dir, whole)); return err },
	} {
		if err := write(); !errors.Is(err, folder.ErrBusy) || !strings.Contains(err.Error(), "process ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	release()
	if left, _ := filepath.Glob(dir); len(left) > 0 {
		t.Error("the refused ones left the folder")
	}
}

// Of many trainings that begin at once in one folder, one ends and the others are refused.
func TestTrainingsThatBeginAtOnce(t *testing.T) {
	src := made(t)
	dir := filepath.Join(t.TempDir(), "coder")
	results := make(chan error, 4)
	for seed := range cap(results) {
		go func() {
			j := job(t, coder.VQ, dir, src)
			j.Recipe.Seed, j.Recipe.Loop.Steps = uint64(seed), 20
			_, err := Train(t.Context(), j)
			results <- err
		}()
	}
	ended := 0
	for range cap(results) {
		err := <-results
		if err == nil {
			ended++
		} else if !errors.Is(err, folder.ErrBusy) && !errors.Is(err, ErrExists) {
			t.Error(err)
		}
	}
	if ended != 1 {
		t.Errorf("%d of %d trainings into one folder have ended", ended, cap(results))
	}
}
