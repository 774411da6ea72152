package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// tokenizer is the command that trains a small tokenizer of a kind.
func tokenizer(run, arch, out string, more ...string) []string {
	return append([]string{"train", "tokenizer", "--from", run, "--site", "resid", "--layers", "3", "--threads", "1", "--out", out,
		"--set", "arch=" + arch, "--set", "steps=30", "--set", "codes=64", "--set", "levels=4,4,4", "--set", "hidden=32", "--set", "code_width=8",
		"--set", "batch=512", "--set", "checkpoint_steps=5", "--set", "eval_steps=20"}, more...)
}

// From vectors to ids, to SQL, and back to vectors; and the table that weighs what they cost.
func TestTokenizer(t *testing.T) {
	t.Parallel()
	run, dir := small(t), t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	wantOKHere(t, tokenizer(run, "residual", in("residual"), "--set", "ids=3")...)
	wantOKHere(t, tokenizer(run, "ema", in("ema"))...)
	wantOKHere(t, "train", "sae", "--from", run, "--site", "resid", "--layers", "3", "--out", in("sae"), "--set", "steps=20", "--set", "width=128", "--set", "k=2", "--set", "batch=512")

	wantRefusalHere(t, exitError, []string{"encode first"}, "decode", in("residual"), "--from", run)
	for _, coder := range []string{"residual", "ema", "sae"} {
		wantOKHere(t, "encode", in(coder), "--from", run)
	}
	var decoded []struct {
		ID      string
		Rows    int
		Metrics map[string]float64
	}
	decode(t, wantOKHere(t, "decode", in("residual"), "--from", run, "--json"), &decoded)
	if len(decoded) != 1 || !(decoded[0].Metrics["fvu"] > 0 && decoded[0].Metrics["fvu"] < 1) {
		t.Fatalf("decoded %+v", decoded)
	}

	wantOKHere(t, "decode", in("sae"), "--from", run)

	var usage []map[string]any
	decode(t, wantOK(t, "sql", run, "--ask", "code_usage", "--json"), &usage)
	if len(usage) != 4 {
		t.Errorf("code_usage answers %v, want a line for each of 4 ids", usage)
	}
	view := "codes_" + decoded[0].ID
	var answer []map[string]any
	decode(t, wantOK(t, "sql", run, "select count(*) as rows, max(l2(list_transform(list_zip(d.resid_3, a.resid_3), lambda p: p[1] - p[2]))^2 - c.err) < 0.1 as same from "+
		view+" d join acts a using (row, pos) join "+strings.TrimSuffix(view, "_decoded")+" c using (row, pos)", "--json"), &answer)
	if len(answer) != 1 || answer[0]["rows"] != float64(decoded[0].Rows) || answer[0]["same"] != true {
		t.Errorf("decoded vectors in SQL: %v, want %d rows as far from the run's as err says", answer, decoded[0].Rows)
	}

	table := wantOKHere(t, "compare", in("residual"), in("ema"), in("sae"), "--from", run)
	if lines := strings.Split(strings.TrimSpace(table), "\n"); len(lines) != 4 || !strings.Contains(lines[1], "ema") || !strings.Contains(lines[0], "bits") {
		t.Errorf("compare prints\n%s", table)
	}
}

// Each kind of tokenizer that is killed after its first checkpoint goes on to the weights of one that was not.
func TestTokenizerGoesOn(t *testing.T) {
	t.Parallel()
	run, dir := small(t), t.TempDir()
	sweep := write(t, "sweep.yaml", `
common: {steps: 30, batch: 512, checkpoint_steps: 5, eval_steps: 20}
learners:
  - {kind: tokenizer, arch: ema, codes: 64, name: ema}
  - {kind: tokenizer, arch: gradient, codes: 64, name: gradient}
  - {kind: tokenizer, arch: residual, codes: 64, ids: 2, name: residual}
  - {kind: tokenizer, arch: product, codes: 64, ids: 2, name: product}
  - {kind: tokenizer, arch: iris, codes: 64, ids: 2, hidden: 32, code_width: 8, name: iris}
  - {kind: tokenizer, arch: fsq, levels: [4, 4, 4], ids: 2, hidden: 32, name: fsq}
`)
	args := func(out string, more ...string) []string {
		return append([]string{"train", "-f", sweep, "--from", run, "--site", "resid", "--layers", "3", "--threads", "1", "--out", filepath.Join(dir, out)}, more...)
	}
	wantOK(t, args("whole")...)
	kinds, err := filepath.Glob(filepath.Join(dir, "whole", "resid_3-*"))
	if err != nil || len(kinds) != 6 {
		t.Fatalf("trained %v, %v", kinds, err)
	}
	p := start(t, args("cut")...)
	for _, kind := range kinds {
		untilExists(t, filepath.Join(dir, "cut", filepath.Base(kind), "checkpoints", "step-*"))
	}
	p.stop(t)
	wantOK(t, args("cut", "--resume")...)
	for _, kind := range kinds {
		if name := filepath.Base(kind); weights(t, filepath.Join(dir, "cut"), name) != weights(t, filepath.Join(dir, "whole"), name) {
			t.Errorf("%s: other weights than the uninterrupted training's", name)
		}
	}
}

// What cannot be trained is refused in one line that says what to change.
func TestTokenizerRefuses(t *testing.T) {
	t.Parallel()
	run := small(t)
	for _, c := range []struct {
		code int
		says []string
		args []string
	}{
		{exitUsage, []string{"unknown kind of tokenizer", "residual"}, []string{"--set", "arch=vae"}},
		{exitUsage, []string{"ids is 3, but ema"}, []string{"--set", "ids=3"}},
		{exitUsage, []string{"levels", "1.5"}, []string{"--set", "arch=fsq", "--set", "levels=8,1.5"}},
		{exitError, []string{"too few for 6000 codes"}, []string{"--set", "codes=6000"}},
		{exitError, []string{"ids is 3, which does not divide vectors of"}, []string{"--set", "arch=product", "--set", "ids=3"}},
	} {
		args := append([]string{"train", "tokenizer", "--from", run, "--site", "resid", "--layers", "3", "--out", filepath.Join(t.TempDir(), "x")}, c.args...)
		wantRefusalHere(t, c.code, c.says, args...)
	}
}
