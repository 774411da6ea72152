package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What training cannot use is refused in one line that says what and where, and leaves no folder.
func TestTrainBadInput(t *testing.T) {
	t.Parallel()
	run := oneSite(t)
	unit := func(run string) string { return filepath.Join(run, "acts", "unit-000000.parquet") }
	for _, c := range []struct {
		name  string
		code  int
		says  []string
		args  []string
		spoil func(t *testing.T, run string)
	}{
		{"k over width", exitUsage, []string{"k is 600, but width is only 512"}, []string{"--set", "k=600"}, nil},
		{"batch over the data", exitError, []string{"batch 99999 is more than the", "lower batch"}, []string{"--set", "batch=99999"}, nil},
		{"empty filter", exitError, []string{"no row"}, []string{"--where", "pos > 9999"}, nil},
		{"unknown column in a filter", exitError, []string{`no column "labl"`}, []string{"--where", "labl = 1"}, nil},
		{"half a condition", exitUsage, []string{`condition "label"`, "want a comparison"}, []string{"--where", "label"}, nil},
		{"unknown key", exitUsage, []string{"widht"}, []string{"--set", "widht=512"}, nil},
		{"a site that was not collected", exitError, []string{"fc2_3"}, []string{"--site", "fc2"}, nil},
		{"an unknown kind of store", exitUsage, []string{"gs://bucket", "s3://bucket/prefix"}, []string{"--checkpoints", "gs://bucket"}, nil},
		{"missing unit", exitError, []string{"open unit 0 of", "not complete", "--follow"}, nil, func(t *testing.T, run string) {
			if err := os.Remove(unit(run)); err != nil {
				t.Fatal(err)
			}
		}},
		{"shard cut short", exitError, []string{"unit-000000.parquet", "was changed", "actfleet check"}, nil, func(t *testing.T, run string) {
			if err := os.Truncate(unit(run), 5000); err != nil {
				t.Fatal(err)
			}
		}},
		{"shard of another plan", exitError, []string{"unit 0 of", "was changed after the run was planned"}, nil, func(t *testing.T, run string) {
			other := filepath.Join(t.TempDir(), "other")
			wantOKHere(t, collectArgs(other, "--sites", "resid", "--layers", "3")...)
			data, err := os.ReadFile(unit(other))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(unit(run), data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(run, "manifest.json")); err != nil { // it would tell by the size already
				t.Fatal(err)
			}
		}},
	} {
		from := run
		if c.spoil != nil {
			from = filepath.Join(t.TempDir(), "run")
			if err := os.CopyFS(from, os.DirFS(run)); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, from)
		}
		out := filepath.Join(t.TempDir(), "sae")
		t.Run(c.name, func(t *testing.T) { wantRefusalHere(t, c.code, c.says, training(from, out, c.args...)...) })
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: a refused training left a folder", c.name)
		}
	}
}
