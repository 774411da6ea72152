package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A run that has a plan goes on from the run and the model alone; one that has none says what is missing.
func TestCollectGoesOnWithoutData(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "run")
	wantRefusalHere(t, exitUsage, []string{"--data", out}, "collect", "--model", tinyModel, "--out", out)
	if _, err := os.Stat(out); err == nil {
		t.Error("a refused collect left a directory")
	}
	wantOKHere(t, collectArgs(out, "--limit", "40", "--sites", "resid", "--layers", "3")...)
	for _, name := range []string{"manifest.json", "acts/unit-000000.parquet"} {
		if err := os.Remove(filepath.Join(out, name)); err != nil {
			t.Fatal(err)
		}
	}
	if said := wantOKHere(t, "collect", "--model", tinyModel, "--out", out); !strings.Contains(said, "is complete") {
		t.Error(said)
	}
	wantOKHere(t, "check", out)
}

// What a fleet could not be joined with is refused before anything is written, and another plan by the user's own
// options.
func TestCollectRefusesBeforeItWrites(t *testing.T) {
	t.Parallel()
	short := write(t, "secret", "abc")
	for _, c := range []struct {
		says []string
		args []string
	}{
		{[]string{"16, 24 or 32"}, []string{"--secret-file", short}},
		{[]string{"regular file"}, []string{"--secret-file", "/dev/zero"}},
		{[]string{"too large"}, []string{"--secret-file", tinyData}},
		{[]string{"host:port"}, []string{"--bind", "nowhere"}},
		{[]string{"not an address of this machine"}, []string{"--bind", "192.0.2.1:7946"}},
		{[]string{"want host:port"}, []string{"--join", "nowhere"}},
		{[]string{"not an address of this machine"}, []string{"--http", "192.0.2.1:80"}},
	} {
		out := filepath.Join(t.TempDir(), "run")
		wantRefusalHere(t, exitError, c.says, collectArgs(out, c.args...)...)
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%v left a directory", c.args)
		}
	}
	out := filepath.Join(t.TempDir(), "run")
	wantOKHere(t, collectArgs(out, "--limit", "40", "--sites", "resid", "--layers", "3")...)
	code, _, said := actfleet(t, collectArgs(out, "--limit", "30", "--sites", "resid", "--layers", "2")...)
	if code != exitError || !strings.Contains(said, "limit: 30 here") || !strings.Contains(said, "layers: [2] here") ||
		strings.Contains(said, "units:") || strings.Contains(said, "vectors:") || strings.Contains(said, "data.rows") {
		t.Errorf("exit %d: %s", code, said)
	}
}
