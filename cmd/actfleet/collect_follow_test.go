package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Without --data the plan is the run's, and every flag that was given agrees with it or is refused by its name.
func TestFlagsAgreeWithTheRun(t *testing.T) {
	made := []string{"--limit", "40", "--sites", "resid,fc2", "--layers", "1,2", "--tokens", "every:3", "--dtype", "f32", "--template", "Say: {text}",
		"--choices", "no,yes", "--max-tokens", "64", "--unit-prompts", "20", "--keep-text", "--offsets", "--compute", "f32"}
	out := collected(t, made...)
	again := func(more ...string) []string {
		return append([]string{"collect", "--model", tinyModel, "--out", out, "--threads", "1"}, more...)
	}
	for _, args := range [][]string{nil, made, {"--layers", "1-2"}, {"--sites", "fc2,resid"}, {"--tokens", "every:3", "--context", "0"}, {"--compute", "auto", "--accept", "x"}} {
		if said := wantOKHere(t, again(args...)...); !strings.Contains(said, "is complete") {
			t.Errorf("%q: %s", args, said)
		}
	}
	for _, c := range []struct {
		code int
		says []string
		args []string
	}{
		{exitError, []string{"--tokens: assistant here, every:3 in the run", "--limit: 1 here, 40 in the run", "--context: 8 here, 0 in the run"},
			[]string{"--tokens", "assistant", "--limit", "1", "--context", "8"}},
		{exitError, []string{"--sites resid:", "fc2,resid at layers 1,2"}, []string{"--sites", "resid"}},
		{exitError, []string{"--sites all --layers 1,2:"}, []string{"--sites", "all", "--layers", "1,2"}},
		{exitError, []string{"--layers all:"}, []string{"--layers", "all"}},
		{exitError, []string{"--dtype: auto here, f32"}, []string{"--dtype", "auto"}},
		{exitError, []string{"--choices: a,b here, no,yes"}, []string{"--choices", "a,b"}},
		{exitError, []string{"--template: none here"}, []string{"--template", "none"}},
		{exitError, []string{"--max-tokens: 0 here, 64"}, []string{"--max-tokens", "0"}},
		{exitError, []string{"--unit-prompts: 21 here, 20"}, []string{"--unit-prompts", "21"}},
		{exitError, []string{"--keep-text: false here", "--offsets: false here"}, []string{"--keep-text=false", "--offsets=false"}},
		{exitError, []string{"--compute: bf16 here, f32"}, []string{"--compute", "bf16"}},
		{exitError, []string{"--pack: true here, false"}, []string{"--pack"}},
		{exitError, []string{"--ring: 20000000000 here, 0", "--readers: a,b here, none"}, []string{"--ring", "20GB", "--readers", "b,a"}},
		{exitUsage, []string{"--text", "--data"}, []string{"--text", "text"}},
		{exitUsage, []string{"--label-map", "--data"}, []string{"--label-map", "a=1"}},
		{exitUsage, []string{"--sites", "bogus"}, []string{"--sites", "bogus"}},
		{exitUsage, []string{"--layers", "9"}, []string{"--layers", "9"}},
		{exitUsage, []string{"--tokens", "bogus"}, []string{"--tokens", "bogus"}},
		{exitUsage, []string{"--compute f8"}, []string{"--compute", "f8"}},
		{exitUsage, []string{"template", "latin"}, []string{"--template", "latin"}},
		{exitUsage, []string{"--limit"}, []string{"--limit", "-1"}},
	} {
		wantRefusalHere(t, c.code, c.says, again(c.args...)...)
	}
}

// Damage of the plan and of the prompts is damage of the run.
func TestCheckOfPlanAndPrompts(t *testing.T) {
	out := collected(t, "--limit", "60")
	wantOKHere(t, "check", out)
	spoilPrompts(t, out)
	code, said, _ := commandHere(t, "check", out)
	if code != exitDamage || !strings.Contains(said, "input/rows-") || !strings.Contains(said, "SHA-256 is ") {
		t.Errorf("changed prompts: exit %d, said %q", code, said)
	}
	found, err := filepath.Glob(filepath.Join(out, "input", "*"))
	noError(t, err)
	noError(t, os.Remove(found[0]))
	code, said, _ = commandHere(t, "check", out)
	if code != exitDamage || !strings.Contains(said, "input/rows-") || !strings.Contains(said, "is gone") {
		t.Errorf("without prompts: exit %d, said %q", code, said)
	}
	plan := filepath.Join(out, "plan.json")
	noError(t, os.Chmod(plan, 0o644))
	noError(t, os.Truncate(plan, 200))
	wantRefusalHere(t, exitDamage, []string{"plan.json", "the plan is damaged"}, "check", out)
}
