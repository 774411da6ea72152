package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// A training that follows a run from before its first unit, killed on the way like a node of the run, ends with the weights
// of one that read the complete run.
func TestTrainFollows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := filepath.Join(dir, "run")
	collect := []string{"collect", "--model", tinyModel, "--data", tinyData, "--limit", "1500", "--tokens", "all", "--sites", "resid", "--layers", "3", "--unit-prompts", "125", "--threads", "1", "--out", run} // 12 units
	follow := training(run, filepath.Join(dir, "followed"), "--follow", "--set", "span=2", "--set", "init_rows=1000")
	p := start(t, follow...)
	until(t, "training waits for the run", func() bool { return p.err.String() != "" }, p)
	node := start(t, collect...)
	untilCommitted(t, run, 3, node, p)
	node.stop(t)
	until(t, "training waits for a unit", func() bool { return strings.Contains(p.err.String(), "of 12") }, p)
	p.stop(t)
	p = start(t, follow...)
	wantOK(t, collect...)
	if code := p.wait(t); code != exitDone {
		t.Fatalf("exit %d: %s", code, p.err.String())
	}
	wantOK(t, training(run, filepath.Join(dir, "after"), "--set", "span=2", "--set", "init_rows=1000")...)
	if weights(t, dir, "followed") != weights(t, dir, "after") {
		t.Error("the weights differ")
	}
}
