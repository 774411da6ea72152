package main

import (
	"os"
	"path/filepath"
	"testing"
)

// No command puts its result among what a run, a model or another coder is made of, by whatever way it is named.
func TestOutputsStayOut(t *testing.T) {
	run, dir := threeRows(t), t.TempDir()
	link := filepath.Join(dir, "link")
	noError(t, os.Symlink(filepath.Join(run, "acts"), link))
	another := filepath.Join(dir, "another")
	noError(t, os.MkdirAll(filepath.Join(another, "checkpoints"), 0o755))
	noError(t, os.WriteFile(filepath.Join(another, "cfg.json"), []byte("{}"), 0o644))
	for _, out := range []string{filepath.Join(run, "acts", "x"), filepath.Join(run, "input"), filepath.Join(link, "x"), filepath.Join(dir, "..", filepath.Base(dir), "link", "x"), filepath.Join(tinyModel, "x"), filepath.Join(another, "x")} {
		for _, args := range [][]string{
			{"train", "sae", "--from", run, "--site", "fc2", "--layers", "0"},
			{"train", "probe", "--from", run, "--site", "fc2", "--layers", "0"},
			{"report", run},
			{"export", another, "--format", "npz"},
			{"import", another, "--format", "npz"},
		} {
			wantRefusalHere(t, exitError, []string{"refused"}, append(args, "--out", out)...)
			if _, err := os.Lstat(out); err == nil && filepath.Base(out) == "x" {
				t.Errorf("%q made %s", args, out)
			}
		}
	}
}
