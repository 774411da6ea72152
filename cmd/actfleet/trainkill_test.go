package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// oneSite makes a run of one site of one layer.
func oneSite(t *testing.T) string {
	t.Helper()
	return collected(t, "--limit", "300", "--tokens", "all", "--sites", "resid", "--layers", "3")
}

// training is a command that trains for a second or two and writes many checkpoints, and goes on from what is there.
func training(run, out string, more ...string) []string {
	args := []string{"train", "sae", "--from", run, "--site", "resid", "--layers", "3", "--threads", "1", "--out", out, "--resume"}
	for _, set := range []string{"steps=120", "width=512", "k=8", "batch=256", "checkpoint_steps=3", "log_steps=4", "eval_steps=30"} {
		args = append(args, "--set", set)
	}
	return append(args, more...)
}

// reported are the steps of metrics.jsonl with their splits.
func reported(t *testing.T, dir string) (steps []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var e struct {
			Step  int
			Split string
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, fmt.Sprint(e.Split, e.Step))
	}
	return steps
}

// A training that is killed with -9 at random moments, again and again, ends with the weights of one that was not, and
// its metrics name every step once. ACTFLEET_KILLS is how often in all; 4 without it.
func TestTrainKilled(t *testing.T) {
	kills := 4
	if n, err := strconv.Atoi(os.Getenv("ACTFLEET_KILLS")); err == nil {
		kills = n
	}
	run, dir := oneSite(t), t.TempDir()
	began := time.Now()
	wantOK(t, training(run, filepath.Join(dir, "whole"))...)
	whole := time.Since(began)
	want, steps := weights(t, dir, "whole"), reported(t, filepath.Join(dir, "whole"))
	if again := wantOK(t, training(run, filepath.Join(dir, "whole"))...); !strings.Contains(again, "had ended before") || strings.Contains(again, "mixing") {
		t.Errorf("a training that had ended says %q", again)
	}

	rng := rand.New(rand.NewPCG(6, 3))
	for killed, round := 0, 0; killed < kills; round++ {
		name := fmt.Sprintf("round-%d", round)
		for killed < kills {
			p := start(t, training(run, filepath.Join(dir, name))...)
			time.Sleep(time.Duration(rng.Float64() * float64(whole)))
			_ = p.Process.Kill() // it may have ended
			if code := p.wait(t); code == exitDone {
				break
			} else if code != -1 {
				t.Fatalf("exit %d: %s", code, p.err.String())
			}
			killed++
		}
		wantOK(t, training(run, filepath.Join(dir, name))...)
		if weights(t, dir, name) != want {
			t.Errorf("%s: the weights differ", name)
		}
		if got := reported(t, filepath.Join(dir, name)); fmt.Sprint(got) != fmt.Sprint(steps) {
			t.Errorf("%s: the metrics name the steps %v, want %v", name, got, steps)
		}
		t.Logf("%s: %d killed so far of %d", name, killed, kills)
	}
}

// A disk that fills up in a checkpoint leaves the one before, which the message names; with room the training goes on.
func TestTrainOnFullDisk(t *testing.T) {
	t.Parallel()
	run, dir := oneSite(t), t.TempDir()
	short := func(out string, more ...string) []string {
		return training(run, filepath.Join(dir, out), append(more, "--set", "steps=30")...)
	}
	wantOK(t, short("whole")...)
	disk := mount(t, 0, "size=7m") // two checkpoints of 3 MB, not three
	args := short("sae", "--checkpoints", filepath.Join(disk, "ckpt"))
	wantRefusal(t, exitError, []string{"no space left", "checkpoint of step 9", "the checkpoint of step 6 is whole: --resume goes on from it"}, args...)
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=20m"); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "sae")); err != nil {
		t.Fatal(err)
	}
	wantOK(t, args...)
	if weights(t, dir, "sae") != weights(t, dir, "whole") {
		t.Error("the weights differ")
	}
	if got, want := reported(t, filepath.Join(dir, "sae")), reported(t, filepath.Join(dir, "whole")); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the metrics name the steps %v, want %v", got, want)
	}
}
