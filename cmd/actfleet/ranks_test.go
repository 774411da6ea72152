package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"actfleet/internal/torch/reduce"
)

// needRanks skips where Gloo is not compiled in.
func needRanks(t *testing.T) {
	if err := reduce.Available(); err != nil {
		t.Skip(err)
	}
}

// smallRun collects little to train on.
func smallRun(t *testing.T) string {
	t.Helper()
	return collected(t, "--limit", "80", "--tokens", "all", "--sites", "fc2", "--layers", "1")
}

var listensAt = regexp.MustCompile(`train: \S+ listens on (\S+)`)

// crewOf starts processes that train together.
func crewOf(t *testing.T, world int, args ...string) (all []*process) {
	t.Helper()
	args = append([]string{"train"}, append(args, "--ranks", fmt.Sprint(world), "--threads", "1")...)
	first := start(t, append(args, "--bind", "127.0.0.1:0")...)
	until(t, "the first rank listens", func() bool { return listensAt.MatchString(first.err.String()) }, first)
	all = append(all, first)
	for range world - 1 {
		all = append(all, start(t, append(args, "--join", first.door(t))...))
	}
	return all
}

// door is where a training process can be joined.
func (p *process) door(t *testing.T) string {
	t.Helper()
	return listensAt.FindStringSubmatch(p.err.String())[1]
}

// wantDone waits for processes that must succeed.
func wantDone(t *testing.T, all ...*process) {
	t.Helper()
	for i, p := range all {
		if code := p.wait(t); code != exitDone {
			t.Fatalf("process %d: exit %d\n%s", i, code, p.err.String())
		}
	}
}

// curve is what a coder's metrics.jsonl says of a metric, by split and step; a line that stands twice counts as an error.
func curve(t *testing.T, dir, metric string) map[string]float64 {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]float64{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e map[string]any
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		at := fmt.Sprint(e["split"], " ", e["step"])
		if _, twice := out[at]; twice {
			t.Errorf("%s: %s stands twice", dir, at)
		}
		out[at], _ = e[metric].(float64)
	}
	return out
}

// wantCurve compares two trainings but for rounding.
func wantCurve(t *testing.T, got, want string) {
	t.Helper()
	a, b := curve(t, got, "fvu"), curve(t, want, "fvu")
	if len(a) != len(b) {
		t.Errorf("%s reports %d times, want %d", got, len(a), len(b))
	}
	for at, v := range b {
		if math.Abs(a[at]-v) > 2e-3*v {
			t.Errorf("%s: at %s fvu is %v, want %v", got, at, a[at], v)
		}
	}
}

func weightsSum(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "coder.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// Two and three processes train what one does, and the same ones the same bytes twice.
func TestRanksTrainLikeOne(t *testing.T) {
	t.Parallel()
	needRanks(t)
	run, out := smallRun(t), t.TempDir()
	sweep := write(t, "sweep.yaml", `
common: {steps: 16, batch: 200, micro: 64, init_rows: 400, eval_steps: 8, log_steps: 4, eval_rows: 200}
learners:
  - {kind: sae, width: 96, k: 8, dead_tokens: 900, name: topk}
  - {kind: sae, arch: batchtopk, width: 96, k: 8, dead_tokens: 900, name: batchtopk}
  - {kind: tokenizer, codes: 40, name: ema}
`)
	args := []string{"-f", sweep, "--from", run, "--site", "fc2", "--out"}
	wantOK(t, append([]string{"train", "--threads", "1"}, append(args, filepath.Join(out, "one"))...)...)
	for name, world := range map[string]int{"two": 2, "again": 2, "three": 3} {
		wantDone(t, crewOf(t, world, append(args, filepath.Join(out, name))...)...)
	}
	for _, coder := range []string{"fc2_1-topk", "fc2_1-batchtopk", "fc2_1-ema"} {
		for _, name := range []string{"two", "three"} {
			wantCurve(t, filepath.Join(out, name, coder), filepath.Join(out, "one", coder))
		}
		if weightsSum(t, filepath.Join(out, "two", coder)) != weightsSum(t, filepath.Join(out, "again", coder)) {
			t.Errorf("%s: two processes give other bytes the second time", coder)
		}
	}
}

// Ranks that are killed, rank 0 among them, are named by those who are left, which go on from the last checkpoint; then
// a new process is taken in; and the curve is that of one process which nobody disturbed.
func TestRanksAreKilled(t *testing.T) {
	t.Parallel()
	needRanks(t)
	run, out := smallRun(t), t.TempDir()
	args := []string{"sae", "--from", run, "--site", "fc2", "--layers", "1", "--set", "width=96", "--set", "k=8", "--set", "batch=200", "--set", "micro=100",
		"--set", "steps=240", "--set", "init_rows=400", "--set", "checkpoint_steps=10", "--set", "eval_steps=120", "--set", "log_steps=20", "--set", "eval_rows=200", "--out"}
	dir := filepath.Join(out, "killed")
	crew := crewOf(t, 3, append(args, dir)...)
	zero := regexp.MustCompile(`train: rank 0 of (\d)`)
	until(t, "a rank 0 has written a checkpoint", func() bool { return len(checkpointsIn(dir)) > 0 }, crew...)
	var left []*process
	for _, p := range crew {
		if zero.MatchString(p.err.String()) {
			p.stop(t)
		} else {
			left = append(left, p)
		}
	}
	for _, p := range left {
		until(t, "those left say who is gone", func() bool {
			return strings.Contains(p.err.String(), "rank 0 (") && strings.Contains(p.err.String(), "vanished; going on from the last checkpoint")
		}, left...)
	}
	until(t, "two go on", func() bool {
		return strings.Contains(left[0].err.String()+left[1].err.String(), "rank 0 of 2")
	}, left...)
	late := start(t, append([]string{"train"}, append(append(args, dir), "--ranks", "3", "--threads", "1", "--join", left[0].door(t))...)...)
	wantDone(t, append(left, late)...) // late is taken in, or comes when all is done and sees it
	after := start(t, append([]string{"train"}, append(append(args, dir), "--ranks", "3", "--threads", "1", "--join", left[0].door(t))...)...)
	wantDone(t, after)
	if !strings.Contains(after.err.String(), "the training has ended") {
		t.Errorf("who comes when all is done says %s", after.err.String())
	}
	wantRefusal(t, exitError, []string{"holds a training already", "has ended"}, append([]string{"train"}, append(append(args, dir), "--ranks", "3", "--bind", "127.0.0.1:0")...)...)
	one := filepath.Join(out, "one")
	wantOK(t, append([]string{"train"}, append(args, one)...)...)
	a, b := curve(t, dir, "fvu"), curve(t, one, "fvu")
	if len(a) != len(b) || math.Abs(a["eval 240"]-b["eval 240"]) > 0.05*b["eval 240"] || math.Abs(a["train 20"]-b["train 20"]) > 1e-3*b["train 20"] {
		t.Errorf("killed %v\nin peace %v", a, b)
	}
}

func checkpointsIn(dir string) []string {
	found, _ := filepath.Glob(filepath.Join(dir, "checkpoints", "step-*.json"))
	return found
}

// What cannot be is refused before anything is joined.
func TestRanksRefused(t *testing.T) {
	args := []string{"train", "sae", "--from", t.TempDir(), "--site", "fc2", "--layers", "1", "--out", t.TempDir()}
	wantRefusal(t, exitUsage, []string{"--ranks"}, append(args, "--join", "127.0.0.1:1")...)
	wantRefusal(t, exitUsage, []string{"--bind"}, append(args, "--ranks", "2")...)
}
