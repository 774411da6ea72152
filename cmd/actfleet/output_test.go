package main

import (
	"bytes"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What cannot be written is no success: a full standard output ends every command that prints in a line.
func TestFullOutputIsAnError(t *testing.T) {
	t.Parallel()
	run := oneSite(t)
	coder := filepath.Join(t.TempDir(), "sae")
	wantOKHere(t, training(run, coder, "--set", "steps=2")...)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	npz := filepath.Join(t.TempDir(), "npz")
	for _, args := range [][]string{
		{"status", run}, {"status", run, "--json"}, {"check", run}, {"check", run, "--json"}, {"sql", run, "select 1"}, {"cat", run, "--format", "csv"}, {"cat", run},
		{"eval", coder, "--from", run}, {"eval", coder, "--from", run, "--json"}, {"encode", coder, "--from", run}, {"decode", coder, "--from", run, "--json"},
		{"export", coder, "--format", "npz", "--out", npz}, {"status", "--help"},
		{"collect", "--model", tinyModel, "--data", tinyData, "--limit", "300", "--tokens", "all", "--sites", "resid", "--layers", "3", "--threads", "1", "--out", run},
		training(run, coder, "--set", "steps=2", "--resume"),
	} {
		_ = os.RemoveAll(npz)
		cmd := exec.Command(os.Args[0], args...)
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = full, &stderr
		err := cmd.Run()
		if code := cmd.ProcessState.ExitCode(); err == nil || code != exitError || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("%s: exit %d, %s", strings.Join(args[:2], " "), code, stderr.String())
		}
	}
}

// A hangup is as good as any other way to say stop; nohup still is no hangup.
func TestHangupStops(t *testing.T) {
	t.Parallel()
	// A child inherits what its parent ignores, so under nohup this test would wait for a training that never stops; a
	// signal that the parent handles is not ignored by the child.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	run, out := oneSite(t), filepath.Join(t.TempDir(), "sae")
	p := start(t, training(run, out, "--set", "steps=1000000", "--set", "checkpoint_steps=1000000")...)
	untilExists(t, filepath.Join(out, "metrics.jsonl"))
	if err := p.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != exitInterrupted || !strings.Contains(p.err.String(), "--resume") {
		t.Errorf("exit %d: %s", code, p.err.String())
	}
	if found, _ := filepath.Glob(filepath.Join(out, "checkpoints", "step-*.json")); len(found) != 1 {
		t.Errorf("checkpoints %v", found)
	}
}

// Shards that become shorter while a training reads them end it in a line that names one.
func TestTrainingSaysWhichShardBecameShorter(t *testing.T) {
	t.Parallel()
	run := filepath.Join(t.TempDir(), "run")
	if err := os.CopyFS(run, os.DirFS(oneSite(t))); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "sae")
	p := start(t, training(run, out, "--set", "steps=1000000")...)
	untilExists(t, filepath.Join(out, "metrics.jsonl"))
	units, _ := filepath.Glob(filepath.Join(run, "acts", "*.parquet"))
	for _, unit := range units {
		if err := os.Truncate(unit, 4096); err != nil {
			t.Fatal(err)
		}
	}
	if code := p.wait(t); code != exitError || !strings.Contains(p.err.String(), "cut short") || !strings.Contains(p.err.String(), "acts/unit-") || strings.Contains(p.err.String(), "goroutine ") {
		t.Errorf("exit %d: %s", code, p.err.String())
	}
}
