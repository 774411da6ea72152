package trainer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"actfleet/shard/store"
	"actfleet/shard/store/fault"
	"actfleet/shard/store/mem"
	"actfleet/trainer/coder"
)

// A training whose folder is lost goes on from the checkpoints kept elsewhere, with the
// metrics from before.
func TestCheckpointsElsewhere(t *testing.T) {
	src, whole := made(t), t.TempDir()
	if _, err := Train(t.Context(), job(t, coder.SAE, whole, src)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", "night/sae"} {
		st := mem.New(time.Now)
		j := job(t, coder.SAE, "", src)
		j.Checkpoints = &Place{Store: st, Dir: dir}
		for stops := 0; ; stops++ {
			j.Dir = t.TempDir()
			err := interrupted(t, []Job{j}, 5)
			if err == nil {
				break
			}
			if j.Resume = true; !errors.Is(err, ErrInterrupted) || stops > 9 {
				t.Fatal(err)
			}
		}
		if weights(t, whole) != weights(t, j.Dir) {
			t.Error("the weights differ")
		}
		if a, b := events(t, whole), events(t, j.Dir); !slices.Equal(a, b) {
			t.Errorf("metrics differ:\n%s\nand\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
		}
		if keys := keysOf(t, st); len(keys) != 3*j.Recipe.Loop.CheckpointKeep || !strings.HasPrefix(keys[0], dir) {
			t.Errorf("kept %v", keys)
		}
		if inside, _ := filepath.Glob(filepath.Join(j.Dir, coder.CkptDir, "*")); inside != nil {
			t.Errorf("in the folder %v", inside)
		}
		j.Resume, j.Dir = false, filepath.Join(t.TempDir(), "new")
		if _, err := Train(t.Context(), j); !errors.Is(err, ErrExists) {
			t.Errorf("beginning anew over them: %v", err)
		}
		j.Resume, j.Recipe.SAE.K = true, 2
		if _, err := Train(t.Context(), j); !errors.Is(err, ErrOther) || !strings.Contains(err.Error(), "k: 2 here, 3 in") {
			t.Errorf("going on with another config: %v", err)
		}
		if _, err := os.Stat(j.Dir); err == nil {
			t.Error("a refused training left a folder")
		}
	}
}

func keysOf(t *testing.T, st store.Store) (keys []string) {
	t.Helper()
	infos, err := st.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		keys = append(keys, i.Key)
	}
	return keys
}

// A training that has begun in its folder goes on with its checkpoints elsewhere.
func TestCheckpointsMove(t *testing.T) {
	src, whole, parts := made(t), t.TempDir(), t.TempDir()
	if _, err := Train(t.Context(), job(t, coder.VQ, whole, src)); err != nil {
		t.Fatal(err)
	}
	j := job(t, coder.VQ, parts, src)
	if err := interrupted(t, []Job{j}, 5); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	j.Resume, j.Checkpoints = true, &Place{Store: mem.New(time.Now)}
	if _, err := Train(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if weights(t, whole) != weights(t, parts) || !slices.Equal(events(t, whole), events(t, parts)) {
		t.Error("the weights or the metrics differ")
	}
	if keys := keysOf(t, j.Checkpoints.Store); len(keys) != 6 {
		t.Errorf("elsewhere are %v", keys)
	}
}

// A checkpoint of another format is refused by its name, whatever older ones there are,
// and stays as it is.
func TestCheckpointOfAnotherVersion(t *testing.T) {
	src := made(t)
	for name, spoil := range map[string]func(t *testing.T, dir string) (named string){
		"format 3": func(t *testing.T, dir string) string {
			path := filepath.Join(dir, "step-00000014.json")
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text = []byte(strings.Replace(string(text), fmt.Sprintf(`"format": %d`, ckptFormat), `"format": 3`, 1))
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			return "step-00000014.json"
		},
		"an unknown file": func(t *testing.T, dir string) string { // format 1
			old := filepath.Join(dir, "step-00000021")
			if err := errors.Join(os.Mkdir(old, 0o700), os.WriteFile(filepath.Join(old, "progress.json"), []byte("{}"), 0o600)); err != nil {
				t.Fatal(err)
			}
			return "step-00000021/progress.json"
		},
	} {
		j := job(t, coder.VQ, t.TempDir(), src)
		j.Recipe.Loop.Steps = 14
		if _, err := Train(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		named := spoil(t, filepath.Join(j.Dir, coder.CkptDir))
		j.Resume = true
		_, err := Train(t.Context(), j)
		if !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), named) || !strings.Contains(err.Error(), name) ||
			!strings.Contains(err.Error(), "go on with the program that wrote it") {
			t.Errorf("got %v", err)
		}
		if _, err := os.Stat(filepath.Join(j.Dir, coder.CkptDir, named)); err != nil {
			t.Error(err)
		}
	}
}

// A disk that is full leaves the checkpoint before, and the training goes on from it when
// there is room.
func TestCheckpointOnFullDisk(t *testing.T) {
	src, whole := made(t), t.TempDir()
	if _, err := Train(t.Context(), job(t, coder.SAE, whole, src)); err != nil {
		t.Fatal(err)
	}
	st := mem.New(time.Now)
	j := job(t, coder.SAE, t.TempDir(), src)
	j.Checkpoints = &Place{Store: fault.Wrap(st, fault.Faults{Space: 100_000})}
	_, err := Train(t.Context(), j)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "the checkpoint of step 28 is whole: --resume goes on from it") {
		t.Fatalf("got %v", err)
	}
	if keys := keysOf(t, st); len(keys) != 6 || keys[5] != "step-00000028.safetensors" {
		t.Errorf("there are %v", keys)
	}
	j.Resume, j.Checkpoints = true, &Place{Store: st}
	if _, err := Train(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if weights(t, whole) != weights(t, j.Dir) {
		t.Error("the weights differ")
	}
}

// Whichever operation of the store fails, before or after it is done: the training ends
// the same, or fails and then goes on to the same end, though its folder is lost.
func TestCheckpointSurvivesEveryFault(t *testing.T) {
	src := made(t)
	begin := func(st store.Store) Job {
		j := job(t, coder.VQ, t.TempDir(), src)
		j.Recipe.Loop.Steps, j.Recipe.Loop.CheckpointSteps, j.Recipe.Loop.CheckpointKeep = 9, 3, 1
		j.Checkpoints = &Place{Store: st, Dir: "a"}
		return j
	}
	j := begin(mem.New(time.Now))
	if _, err := Train(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	want := weights(t, j.Dir)
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			st := mem.New(time.Now)
			faulty := fault.Wrap(st, fault.Faults{FailAt: n, After: after})
			j := begin(faulty)
			_, err := Train(context.WithoutCancel(t.Context()), j)
			if !faulty.Fired() {
				break
			}
			if err != nil {
				j = begin(st)
				j.Resume = true
				if _, err = Train(t.Context(), j); err != nil {
					t.Fatalf("after fault %d: %v", n, err)
				}
			}
			if weights(t, j.Dir) != want {
				t.Errorf("after fault %d the weights differ", n)
			}
		}
	}
}
