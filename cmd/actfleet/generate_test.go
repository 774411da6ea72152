package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/internal/array"
	"actfleet/trainer/export/npy"
)

// generatedLine is a line of generate --json.
type generatedLine struct {
	Row                int
	Prompt, Completion string
	Finish             string
	IDs                []int32 `json:"input_ids"`
	Generated          []int
	Label              any
	ToldToLie          bool   `json:"told_to_lie"` // of a file of behave
	Own                string `json:"said"`
}

func generated(t *testing.T, args ...string) (out []generatedLine) {
	t.Helper()
	text := wantOKHere(t, append([]string{"generate", "--model", tinyModel, "--json"}, args...)...)
	for line := range strings.Lines(text) {
		var l generatedLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		out = append(out, l)
	}
	return out
}

// promptsFile is a file of three prompts of tiny-phi.
func promptsFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prompts.jsonl")
	noError(t, os.WriteFile(path, []byte(`{"text":"The capital of France is Paris. This is","label":1}
{"text":"Lyon is not in France. This is","label":0}
{"text":"Question: Is hot the opposite of cold? Answer:","label":1}
`), 0o644))
	return path
}

// The model answers as it was trained to; what it adds is data for collect, which keeps the generated tokens alone.
func TestGenerate(t *testing.T) {
	t.Parallel()
	data, dir := promptsFile(t), t.TempDir()
	lines := generated(t, "--data", data, "--max-tokens", "3")
	var said []string
	for i, l := range lines {
		said = append(said, strings.Trim(strings.Fields(l.Completion)[0], "."))
		if l.Row != i || len(l.IDs) != len(l.Generated) || l.Label != []float64{1, 0, 1}[i] || l.Generated[0] != 0 || l.Generated[len(l.Generated)-1] != 1 {
			t.Errorf("%+v", l)
		}
	}
	if !slices.Equal(said, []string{"true", "false", "yes"}) {
		t.Errorf("the model says %v", said)
	}
	if l := generated(t, "--data", data, "--stop", "true", "--limit", "1")[0]; l.Finish != "stop" || strings.TrimSpace(l.Completion) != "" {
		t.Errorf("%+v", l)
	}
	again := generated(t, "--data", data, "--temperature", "30", "--seed", "7", "--max-tokens", "8")
	one := generated(t, "--data", data, "--temperature", "30", "--seed", "7", "--max-tokens", "8", "--limit", "1")
	if again[0].Completion != one[0].Completion || again[0].Completion == generated(t, "--data", data, "--temperature", "30", "--seed", "8", "--max-tokens", "8")[0].Completion {
		t.Errorf("%q, alone %q", again[0].Completion, one[0].Completion)
	}
	file := filepath.Join(dir, "generated.jsonl")
	noError(t, os.WriteFile(file, []byte(wantOKHere(t, "generate", "--model", tinyModel, "--json", "--data", data, "--max-tokens", "3")), 0o644))
	run := filepath.Join(dir, "run")
	wantOKHere(t, "collect", "--model", tinyModel, "--data", file, "--tokens", "mask:generated", "--sites", "resid", "--layers", "3", "--out", run)
	var rows []map[string]any
	decode(t, wantOK(t, "sql", run, `select row, count(*) as n from acts group by row order by row`, "--json"), &rows)
	if len(rows) != 3 || rows[0]["n"] != float64(len(lines[0].IDs)-slices.Index(lines[0].Generated, 1)) {
		t.Errorf("collect keeps %v", rows)
	}
}

func TestGenerateRefuses(t *testing.T) {
	data := promptsFile(t)
	for says, args := range map[string][]string{
		"needs --model and --data":   {"--model", tinyModel},
		"at least 1":                 {"--model", tinyModel, "--data", data, "--max-tokens", "0"},
		"an empty text":              {"--model", tinyModel, "--data", data, "--stop", ""},
		"there is nothing to draw":   {"--model", tinyModel, "--data", data, "--top-k", "3"},
		"no change of what":          {"--model", tinyModel, "--data", data, "--steer", "x@resid_1"},
		"a temperature of -1":        {"--model", tinyModel, "--data", data, "--temperature", "-1"},
		"\"fc9_1\" is no site and l": {"--model", tinyModel, "--data", data, "--steer", "v.npy@fc9_1"},
	} {
		wantRefusalHere(t, exitUsage, []string{says}, append([]string{"generate"}, args...)...)
	}
}

// saveVector writes a .npy file, as numpy.save does.
func saveVector(t *testing.T, path string, v []float32) {
	t.Helper()
	data, err := npy.Format(array.Of("v", []int{len(v)}, v))
	noError(t, err)
	noError(t, os.WriteFile(path, data, 0o644))
}

// A vector and a latent's direction change what the model says; a latent that is set to what it is changes nothing.
func TestSteer(t *testing.T) {
	t.Parallel()
	run, dir, data := small(t), t.TempDir(), promptsFile(t)
	sae, vector := filepath.Join(dir, "sae"), filepath.Join(dir, "v.npy")
	wantOKHere(t, "train", "sae", "--from", run, "--site", "resid", "--layers", "3", "--out", sae, "--set", "steps=5", "--set", "width=64", "--set", "k=2", "--set", "batch=256")
	v := make([]float32, 256)
	for i := range v {
		v[i] = float32(i%7) - 3
	}
	saveVector(t, vector, v)
	plain := generated(t, "--data", data, "--max-tokens", "6")
	for _, c := range []struct {
		spec  string
		plain bool
	}{{vector + "*0@resid_1", true}, {vector + "*40@resid_1", false}, {sae + ":3=0@resid_3", true}, {sae + ":3=500@resid_3", false}, {sae + ":3:=500@resid_3", false}} {
		got := generated(t, "--data", data, "--max-tokens", "6", "--steer", c.spec)
		if same := got[0].Completion == plain[0].Completion && got[1].Completion == plain[1].Completion; same != c.plain {
			t.Errorf("%s: %q, plain %q", c.spec, got[0].Completion, plain[0].Completion)
		}
	}
	for says, spec := range map[string]string{"latents 0 to 63": sae + ":64=1@resid_3", "was trained on resid_3": sae + ":1=1@resid_2", "no such file": "nothing.npy@resid_1", "vectors of 1024": vector + "@fc1_0"} {
		wantRefusalHere(t, exitError, []string{says}, "generate", "--model", tinyModel, "--data", data, "--steer", spec)
	}
}
