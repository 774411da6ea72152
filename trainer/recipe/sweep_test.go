package recipe

import (
	"slices"
	"strings"
	"testing"
)

func TestLoadSweep(t *testing.T) {
	path := write(t, `
common: {steps: 50, k: 8, where: [label=1]}
learners:
  - {kind: sae, site: fc2, layers: [1, 3], width: [64, 128], seed: [0, 1]}
  - {kind: tokenizer, codes: 32, name: small}
`)
	plans, err := LoadSweep(path, []string{"batch=512", "k=4"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range plans {
		names = append(names, p.Name)
		if p.Recipe.Loop.Steps != 50 || p.Recipe.Loop.Batch != 512 || !slices.Equal(p.Recipe.Data.Where, []string{"label=1"}) {
			t.Errorf("%s: %+v", p.Name, p.Recipe)
		}
	}
	if want := []string{"sae-seed0-width64", "sae-seed0-width128", "sae-seed1-width64", "sae-seed1-width128", "small"}; !slices.Equal(names, want) {
		t.Errorf("names %v", names)
	}
	if p := plans[3]; p.Site != "fc2" || p.Layers != "1,3" || p.Recipe.SAE.Width != 128 || p.Recipe.Seed != 1 || p.Recipe.SAE.K != 4 {
		t.Errorf("plan %+v", p)
	}
	for text, part := range map[string]string{
		"learners: []":                                 "at least one learner",
		"learners: [{kind: probe}]":                    `kind is "probe"`,
		"learners: [{kind: sae, codes: 3}]":            "a key of vq, not of sae",
		"learners: [{kind: sae}]\nwidth: 3":            "width: unknown key",
		"learners: [{kind: sae, name: ../x}]":          "folder's name",
		"common: {widht: 3}\nlearners: [{kind: sae}]":  "widht: unknown key",
		"learners: [{kind: sae, width: [4, 2], k: 3}]": "k is 3, but width is only 2",
		"learners: [{kind: sae, seed: []}]":            "seed: an empty list",
		"common: {seed: [" + numbers(70) + "]}\nlearners: [{kind: sae, width: [" + numbers(70) + "]}]": "more than 4096",
		"learners: [3]": "want keys",
		"learners: [{kind: sae, seed: [" + numbers(5000) + "]}]": "more than 4096",
	} {
		if _, err := LoadSweep(write(t, text), nil); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

// A list in common multiplies the learners, but not those that have a value of their own.
func TestLoadSweepCrossesListsInCommon(t *testing.T) {
	plans, err := LoadSweep(write(t, `
common: {lr: [0.0005, 0.0015], codes: [16, 32], batch: 64}
learners:
  - {kind: sae, width: [64, 128], k: 4}
  - {kind: sae, lr: 0.1, k: 4, name: own}
  - {kind: tokenizer, lr: 0.1}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range plans {
		names = append(names, p.Name)
	}
	want := []string{"sae-lr0.0005-width64", "sae-lr0.0005-width128", "sae-lr0.0015-width64", "sae-lr0.0015-width128", "own", "tokenizer-codes16", "tokenizer-codes32"}
	if !slices.Equal(names, want) {
		t.Errorf("names %v", names)
	}
	if p := plans[2].Recipe; p.Loop.LR != 0.0015 || p.SAE.Width != 64 || plans[4].Recipe.Loop.LR != 0.1 || p.Loop.Batch != 64 {
		t.Errorf("%+v", p)
	}
}

func numbers(n int) string { return strings.TrimSuffix(strings.Repeat("1,", n), ",") }
