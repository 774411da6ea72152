package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tiny-phi knows its statements and was never taught to lie: the table says so, the file holds every answer, and a model
// steered by a vector of zeros is the base.
func TestBehave(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, out, zeros := filepath.Join(dir, "statements.jsonl"), filepath.Join(dir, "answers.parquet"), filepath.Join(dir, "zeros.npy")
	all, err := os.ReadFile(filepath.Join(tinyModel, "statements.jsonl"))
	noError(t, err)
	var some strings.Builder
	for line := range strings.Lines(string(all)) {
		if strings.Contains(line, `"form": "affirmative"`) && strings.Count(some.String(), "\n") < 60 {
			some.WriteString(line)
		}
	}
	noError(t, os.WriteFile(data, []byte(some.String()), 0o644))
	saveVector(t, zeros, make([]float32, 256))
	args := []string{"behave", "--model", tinyModel, "--data", data, "--question", "{text} This is", "--system", "off", "--instruct", "off,on", "--shots", "0",
		"--steer", zeros + "@resid_1", "--generate", "2"}
	var table struct{ Cells []behaviourLine }
	if err := json.Unmarshal([]byte(wantOKHere(t, append(args, "--json", "--out", out)...)), &table); err != nil {
		t.Fatal(err)
	}
	if len(table.Cells) != 4 {
		t.Fatalf("%+v", table.Cells)
	}
	plain, told, steered := table.Cells[0], table.Cells[1], table.Cells[2]
	if plain.Acc == nil || plain.Acc.Value < 0.9 || plain.LieAcc != nil || plain.Coverage < 0.8 || plain.Against != nil {
		t.Errorf("plain: %+v, acc %+v", plain, plain.Acc)
	}
	if told.LieAcc == nil || told.N != 2*plain.N || told.KnownLie == nil && told.Acc.Value > 0 {
		t.Errorf("told: %+v", told)
	}
	if steered.Variant != "steered" || *steered.Acc != *plain.Acc || steered.Against == nil || steered.Against.P != 1 || steered.Against.N != plain.N {
		t.Errorf("steered: %+v", steered)
	}
	rows, lies := generated(t, "--data", out, "--text", "prompt", "--max-tokens", "1"), 0
	for _, r := range rows {
		if r.ToldToLie {
			lies++
		}
		if r.Prompt == "" || r.Own == "" {
			t.Errorf("%s holds %+v", out, r)
		}
	}
	if len(rows) != 2*(plain.N+told.N) || lies != 2*told.LieAcc.N {
		t.Errorf("%s holds %d answers, %d of them told to lie", out, len(rows), lies)
	}
	text := wantOKHere(t, append(args[:len(args)-4], "--min-cov", "0.99999")...)
	if !strings.Contains(text, "known_lie_acc") || !strings.Contains(text, "* base, system off, shots 0, instruct on: after ") {
		t.Errorf("the table is\n%s", text)
	}
	noError(t, os.Mkdir(filepath.Join(dir, "acts"), 0o755))
	noError(t, os.WriteFile(filepath.Join(dir, "acts", "unit-000000.parquet"), nil, 0o644))
	for path, says := range map[string]string{out: "a file is there", filepath.Join(dir, "acts", "mine.parquet"): "shards or prompts", filepath.Join(dir, "gone", "a.parquet"): "no such file"} {
		wantRefusalHere(t, exitError, []string{says}, append(args, "--out", path)...)
	}
}

func TestBehaveRefuses(t *testing.T) {
	data := promptsFile(t)
	bare := filepath.Join(t.TempDir(), "bare.jsonl")
	noError(t, os.WriteFile(bare, []byte("{\"text\":\"a\"}\n{\"text\":\"b\",\"label\":null}\n"), 0o644))
	for says, args := range map[string][]string{
		"needs --model and --data": {},
		"want off, on":             {"--model", tinyModel, "--data", data, "--system", "maybe"},
		"each once":                {"--model", tinyModel, "--data", data, "--shots", "2,2"},
		"want two words":           {"--model", tinyModel, "--data", data, "--choices", "yes"},
		"in plain lines":           {"--model", tinyModel, "--data", data, "--template", "alpaca"},
		"at most 1":                {"--model", tinyModel, "--data", data, "--min-acc", "2"},
	} {
		wantRefusalHere(t, exitUsage, []string{says}, append([]string{"behave"}, args...)...)
	}
	wantRefusalHere(t, exitError, []string{"too few statements"}, "behave", "--model", tinyModel, "--data", data, "--shots", "9")
	wantRefusalHere(t, exitError, []string{"--template chat"}, "behave", "--model", tinyModel, "--data", data, "--template", "chat", "--shots", "0")
	wantRefusalHere(t, exitError, []string{"label"}, "behave", "--model", tinyModel, "--data", bare, "--shots", "0")
}
