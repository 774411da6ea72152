package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// small makes a run of a few hundred prompts with two sites of two layers.
func small(t *testing.T) string {
	t.Helper()
	return collected(t, "--limit", "500", "--tokens", "all", "--sites", "fc2,resid", "--layers", "1,3", "--choices", "no,yes", "--keep-text")
}

// From a run to coders, probes, answers, a page and rows: what a user types after collecting.
func TestPipeline(t *testing.T) {
	t.Parallel()
	run, dir := small(t), t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }

	wantOKHere(t, "train", "sae", "--from", run, "--site", "fc2", "--layers", "1", "--out", in("sae"), "--set", "steps=30", "--set", "width=512", "--set", "batch=512")
	wantOKHere(t, "train", "tokenizer", "--from", run, "--site", "resid", "--layers", "-1", "--out", in("vq"), "--set", "steps=30", "--set", "codes=64", "--set", "batch=512")
	var table struct {
		Probes    []struct{ ID string }
		Baselines []struct{ Name string }
	}
	decode(t, wantOKHere(t, "train", "probe", "--from", run, "--site", "all", "--layers", "all", "--out", in("probes"), "--json"), &table)
	if len(table.Probes) != 8 || len(table.Baselines) < 5 {
		t.Errorf("%d probes and %d baselines", len(table.Probes), len(table.Baselines))
	}

	var coders []struct{ Metrics map[string]float64 }
	decode(t, wantOKHere(t, "eval", in("sae"), in("vq"), "--from", run, "--model", tinyModel, "--prompts", "4", "--json"), &coders)
	for _, name := range []string{"fvu", "ev", "ev_legacy", "fve_var", "l0", "dead", "cosine", "l2_ratio", "relative_bias", "ce_coder", "kl_score"} {
		if _, ok := coders[0].Metrics[name]; !ok {
			t.Errorf("eval gives no %s", name)
		}
	}
	for _, coder := range []string{"sae", "vq"} {
		wantOKHere(t, "encode", in(coder), "--from", run)
	}
	wantOKHere(t, "check", run)

	var answer []map[string]any
	decode(t, wantOK(t, "sql", run, "select count(distinct row) as prompts, count(*) as rows from acts", "--json"), &answer)
	if len(answer) != 1 || answer[0]["prompts"] != 500.0 {
		t.Errorf("sql says %v, want 500 prompts", answer)
	}
	for _, ask := range []string{"rows_per_group", "mean_norm_by_layer", "probe_score_by_label", "fleet"} {
		if out := wantOK(t, "sql", run, "--ask", ask); len(strings.Split(out, "\n")) < 4 {
			t.Errorf("%s answers %q", ask, out)
		}
	}

	page := in("report.html")
	wantOKHere(t, "report", run, "--probes", in("probes"), "--coders", in("sae")+","+in("vq"), "--out", page)
	html, err := os.ReadFile(page)
	if err != nil || !bytes.Contains(html, []byte("</html>")) || bytes.Contains(html, []byte("src=\"http")) {
		t.Errorf("the page: %v, %d bytes", err, len(html))
	}

	csv := wantOKHere(t, "cat", run, "--columns", "row,pos,label", "--format", "csv")
	jsonl := wantOKHere(t, "cat", run, "--columns", "row,pos,resid_3", "--format", "jsonl")
	if a, b := strings.Count(csv, "\n")-1, strings.Count(jsonl, "\n"); a != b || float64(a) != answer[0]["rows"] {
		t.Errorf("%d rows as CSV, %d as JSONL, %v in SQL", a, b, answer[0]["rows"])
	}
	if arrow := wantOKHere(t, "cat", run); len(arrow) < 1<<20 {
		t.Errorf("an Arrow stream of %d bytes", len(arrow))
	}
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// A training that is interrupted and goes on ends in the weights of one that was not.
func TestTrainingGoesOn(t *testing.T) {
	t.Parallel()
	run, dir := small(t), t.TempDir()
	args := func(out string, more ...string) []string {
		return append([]string{"train", "sae", "--from", run, "--site", "resid", "--layers", "3", "--threads", "1", "--out", filepath.Join(dir, out),
			"--set", "steps=60", "--set", "width=256", "--set", "batch=512", "--set", "checkpoint_steps=5", "--set", "eval_steps=20"}, more...)
	}
	wantOK(t, args("whole")...)
	for _, kill := range []os.Signal{os.Interrupt, os.Kill} {
		out := "cut-" + kill.String()
		p := start(t, args(out)...)
		untilExists(t, filepath.Join(dir, out, "checkpoints", "*"))
		if err := p.Process.Signal(kill); err != nil {
			t.Fatal(err)
		}
		if code := p.wait(t); kill == os.Interrupt && code != exitInterrupted && code != exitDone {
			t.Errorf("interrupted training ends with %d: %s", code, p.err.String())
		}
		if code, _, stderr := actfleet(t, args(out)...); code == exitDone || !strings.Contains(stderr, "--resume") {
			t.Logf("without --resume: exit %d, %s", code, stderr)
		}
		wantOK(t, args(out, "--resume")...)
		if weights(t, dir, out) != weights(t, dir, "whole") {
			t.Errorf("%v: other weights than the uninterrupted training's", kill)
		}
	}
}

func untilExists(t *testing.T, pattern string) {
	t.Helper()
	until(t, pattern+" appears", func() bool {
		found, _ := filepath.Glob(pattern)
		return len(found) > 0
	})
}

func weights(t *testing.T, dir, coder string) [32]byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, coder, "coder.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(data)
}

func TestTokenize(t *testing.T) {
	cmd := exec.Command(os.Args[0], "tokenize", "--model", tinyModel)
	cmd.Stdin = strings.NewReader("{\"text\":\"Paris is the capital of France.\"}\n{\"text\":\"\"}\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], `{"ids":[`) || lines[1] != `{"ids":[]}` {
		t.Errorf("%q", out)
	}
	cmd = exec.Command(os.Args[0], "tokenize", "--model", tinyModel)
	cmd.Stdin = strings.NewReader("{\"text\":\"a\"}\n{\"txt\":1}\n")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "line 2") {
		t.Errorf("%v, %q", err, out)
	}
}

func TestDoctor(t *testing.T) {
	var found []finding
	decode(t, wantOKHere(t, "doctor", "--json", "--dir", t.TempDir()), &found)
	if len(found) < 6 {
		t.Errorf("doctor looked at %d things", len(found))
	}
	if code, stdout, _ := actfleet(t, "doctor", "--dir", filepath.Join(t.TempDir(), "nowhere")); code != exitError || !strings.Contains(stdout, "BAD") {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

// Wrong keys and damaged or foreign folders are refused in one line.
func TestTrainRefuses(t *testing.T) {
	t.Parallel()
	run := small(t)
	for says, args := range map[string][]string{
		"k is 9000":       {"--site", "fc2", "--layers", "1", "--set", "k=9000"},
		"unknown key":     {"--site", "fc2", "--layers", "1", "--set", "widht=3"},
		"no column fc2_0": {"--site", "fc2", "--layers", "0"},
		"fc9":             {"--site", "fc9"},
	} {
		args = append([]string{"train", "sae", "--from", run, "--out", filepath.Join(t.TempDir(), "x")}, args...)
		if code, _, stderr := actfleet(t, args...); code == exitDone || !strings.Contains(stderr, says) {
			t.Errorf("exit %d, %q does not say %q", code, stderr, says)
		}
	}
}
