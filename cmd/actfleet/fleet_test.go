package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

var listening = regexp.MustCompile(`listens on (\S+)`)

// nodeFlags ask for 24 units of a tenth of a second; a test that needs more time lets nodes pause.
var nodeFlags = []string{"--data", tinyData, "--limit", "3000", "--tokens", "all", "--sites", "Wqkv,fc1", "--layers", "0", "--dtype", "f32"}

// startNode starts a collecting process.
func startNode(t *testing.T, out string, more ...string) *process {
	t.Helper()
	args := append([]string{"collect", "--model", tinyModel, "--threads", "1", "--out", out}, nodeFlags...)
	return start(t, append(args, more...)...)
}

// address waits until a node says where it listens and has begun its log.
func (p *process) address(t *testing.T, out string) string {
	t.Helper()
	until(t, "the node starts", func() bool {
		logs, _ := filepath.Glob(filepath.Join(out, "log", fmt.Sprintf("*-%d-*.jsonl", p.Process.Pid)))
		return len(logs) > 0 && listening.MatchString(p.err.String())
	}, p)
	return listening.FindStringSubmatch(p.err.String())[1]
}

// untilCommitted waits until a run has n units.
func untilCommitted(t *testing.T, out string, n int, nodes ...*process) {
	t.Helper()
	until(t, fmt.Sprintf("%s has %d units", out, n), func() bool { return len(unitFiles(out)) >= n }, nodes...)
}

func sums(t *testing.T, out string) map[string][32]byte {
	t.Helper()
	all := map[string][32]byte{}
	units, err := filepath.Glob(filepath.Join(out, "acts", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range units {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(path)] = sha256.Sum256(data)
	}
	return all
}

// Three processes, one killed with -9 and one interrupted in the middle: the last finishes, check is
// content, and every shard has the bytes that one undisturbed node makes.
func TestKilledAndInterruptedNodes(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "run")
	a := startNode(t, out, "--bind", "127.0.0.1:0")
	seed := a.address(t, out)
	a.signal(t, syscall.SIGUSR1) // until all are there
	b, c := startNode(t, out, "--join", seed), startNode(t, out, "--join", seed)
	b.address(t, out)
	c.address(t, out)
	a.signal(t, syscall.SIGUSR2)
	untilCommitted(t, out, 4)
	if err := a.Process.Kill(); err != nil { // the seed of all places
		t.Fatal(err)
	}
	a.wait(t)
	untilCommitted(t, out, 10, b, c)
	if err := b.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := b.wait(t); code != exitInterrupted && code != exitDone {
		t.Errorf("the interrupted node ended with %d: %s", code, b.err.String())
	}
	if code := c.wait(t); code != exitDone {
		t.Fatalf("the last node ended with %d: %s", code, c.err.String())
	}
	wantOK(t, "check", out)

	alone := filepath.Join(t.TempDir(), "alone")
	if code := startNode(t, alone).wait(t); code != exitDone {
		t.Fatalf("the single node ended with %d", code)
	}
	want, got := sums(t, alone), sums(t, out)
	if len(got) != len(want) {
		t.Errorf("%d files, one node makes %d", len(got), len(want))
	}
	for name, sum := range want {
		if got[name] != sum {
			t.Errorf("%s differs from what one node makes", name)
		}
	}
}

// A run whose only node was killed goes on with the same command.
func TestTheSameCommandGoesOn(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "run")
	a := startNode(t, out)
	untilCommitted(t, out, 3)
	if err := a.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	a.wait(t)
	if code, _, _ := actfleet(t, "check", out); code != exitDamage {
		t.Errorf("check of a half-finished run ends with %d, want %d", code, exitDamage)
	}
	again := startNode(t, out)
	if code := again.wait(t); code != exitDone {
		t.Fatalf("exit %d: %s", code, again.err.String())
	}
	wantOK(t, "check", out)
}

// A node without --data takes plan and prompts from the run; a wrong key and another model are refused.
func TestJoining(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "run")
	key, wrong := write(t, "key", strings.Repeat("k", 32)), write(t, "wrong", strings.Repeat("w", 32))
	a := startNode(t, out, "--bind", "127.0.0.1:0", "--secret-file", key)
	seed := a.address(t, out)
	a.signal(t, syscall.SIGUSR1) // the run must not end before the test
	join := func(more ...string) []string {
		return append([]string{"collect", "--model", tinyModel, "--out", out, "--threads", "1", "--join", seed}, more...)
	}
	var seen struct{ Total int }
	decode(t, wantOK(t, "status", "--join", seed, "--secret-file", key, "--json"), &seen)
	if seen.Total == 0 {
		t.Error("status saw no units")
	}
	other := copyTiny(t)
	edit(t, filepath.Join(other, "config.json"), `"layer_norm_eps": 1e-05`, `"layer_norm_eps": 1e-06`)
	wantRefusal(t, exitError, []string{"not the plan's"}, join("--secret-file", key, "--model", other)...)
	wantRefusal(t, exitError, []string{"secret"}, join("--secret-file", wrong)...)
	b := start(t, join("--secret-file", key)...)
	b.address(t, out)
	a.signal(t, syscall.SIGUSR2)
	if code := b.wait(t); code != exitDone {
		t.Errorf("the joining node ended with %d: %s", code, b.err.String())
	}
	if code := a.wait(t); code != exitDone {
		t.Errorf("the first node ended with %d: %s", code, a.err.String())
	}
	wantOK(t, "check", out)
}
