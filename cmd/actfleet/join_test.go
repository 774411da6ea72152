package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"actfleet/internal/testnet"
)

// states counts the nodes in each state, as one of them tells.
func states(t *testing.T, addr string) map[string]int {
	t.Helper()
	code, out, _ := actfleet(t, "status", "--join", addr, "--json")
	if code != exitDone {
		return nil // busy: asked again
	}
	var seen struct{ Nodes []struct{ State string } }
	if err := json.Unmarshal([]byte(out), &seen); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, n := range seen.Nodes {
		count[n.State]++
	}
	return count
}

// A node whose seeds are dead works alone and says so once; the seed that comes late and the node find each other; and
// a node that was cut off for a while comes back.
func TestLateSeed(t *testing.T) {
	t.Parallel()
	run, seed := filepath.Join(t.TempDir(), "run"), testnet.FreeAddr(t)
	a := startNode(t, run, "--join", seed+",localhost:1")
	until(t, "a works alone", func() bool { return a.count(t, run, "commit") > 0 }, a)
	if n := strings.Count(a.err.String(), "works alone"); n != 1 {
		t.Errorf("said %d times that it is alone: %s", n, a.err.String())
	}
	a.signal(t, syscall.SIGUSR1) // the run must not end before the test
	b := startNode(t, run, "--bind", seed)
	until(t, "b commits", func() bool { return b.count(t, run, "commit") > 0 }, a, b)
	b.signal(t, syscall.SIGUSR1)
	until(t, "they meet", func() bool {
		return states(t, seed)["paused"] == 2 && strings.Contains(a.err.String(), "found the fleet")
	}, a, b)

	a.signal(t, syscall.SIGSTOP)
	until(t, "a counts as gone", func() bool { return states(t, seed)["gone"] == 1 }, a, b)
	a.signal(t, syscall.SIGCONT)
	until(t, "a is back", func() bool { return states(t, seed)["paused"] == 2 }, a, b)

	a.stop(t)
	b.signal(t, syscall.SIGUSR2)
	if code := b.wait(t); code != exitDone {
		t.Errorf("b ended with %d: %s", code, b.err.String())
	}
	wantOK(t, "check", run)
}
