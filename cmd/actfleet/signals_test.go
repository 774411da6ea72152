package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"actfleet/collector"
)

// events reads what a process has logged in a run.
func (p *process) events(t *testing.T, run string) []collector.Event {
	t.Helper()
	var all []collector.Event
	logs, _ := filepath.Glob(filepath.Join(run, "log", fmt.Sprintf("*-%d-*.jsonl", p.Process.Pid)))
	for _, path := range logs {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(data), "\n") {
			var e collector.Event
			if json.Unmarshal([]byte(line), &e) == nil {
				all = append(all, e)
			}
		}
	}
	return all
}

// count is how many events of a kind a process has logged.
func (p *process) count(t *testing.T, run, kind string) int {
	t.Helper()
	n := 0
	for _, e := range p.events(t, run) {
		if e.Event == kind {
			n++
		}
	}
	return n
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// patience is how long a test waits for what must happen, on the slowest and busiest machine.
const patience = 5 * time.Minute

// until waits for something to become true.
func until(t *testing.T, what string, ok func() bool, nodes ...*process) {
	t.Helper()
	for began := time.Now(); time.Since(began) < patience; time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	for _, p := range nodes {
		t.Log(p.err.String())
	}
	t.Fatalf("did not happen: %s", what)
}

var metricsAt = regexp.MustCompile(`metrics on (http://\S+)/metrics`)

// page reads a path of a node's --http address.
func (p *process) page(t *testing.T, path string) string {
	t.Helper()
	until(t, "the node says where its metrics are", func() bool { return metricsAt.MatchString(p.err.String()) }, p)
	resp, err := http.Get(metricsAt.FindStringSubmatch(p.err.String())[1] + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// A node is paused and resumed by signals, one leaves with its unit finished and one drops it, and what a node says of
// itself is what it does.
func TestSignals(t *testing.T) {
	t.Parallel()
	run := filepath.Join(t.TempDir(), "run")
	long := []string{"--sites", "all", "--layers", "all", "--dtype", "auto"} // units of half a second
	a := startNode(t, run, append(long, "--bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--grace", "1ms", "--log-format", "json")...)
	seed := strings.TrimSuffix(a.address(t, run), `"}`)
	a.signal(t, syscall.SIGUSR1) // until b is there
	b := startNode(t, run, append(long, "--join", seed)...)
	b.address(t, run)
	a.signal(t, syscall.SIGUSR2)
	until(t, "a and b commit", func() bool { return a.count(t, run, "commit") > 1 && b.count(t, run, "commit") > 0 }, a, b)

	a.signal(t, syscall.SIGUSR1)
	until(t, "a is paused", func() bool {
		return strings.TrimSpace(a.page(t, "/healthz")) == "paused" && strings.Contains(a.page(t, "/metrics"), "actfleet_node_units_in_hand 0")
	}, a)
	claims, commits := a.count(t, run, "claim"), b.count(t, run, "commit")
	if out := wantOK(t, "status", "--join", seed, "--json"); !strings.Contains(out, `"state": "paused"`) || !strings.Contains(out, `"state": "working"`) {
		t.Errorf("status says %s", out)
	}
	until(t, "b goes on", func() bool { return b.count(t, run, "commit") > commits+2 }, a, b)
	if n := a.count(t, run, "claim"); n != claims {
		t.Errorf("the paused node claimed %d units", n-claims)
	}
	a.signal(t, syscall.SIGUSR2)
	until(t, "a claims again", func() bool { return a.count(t, run, "claim") > claims+1 }, a, b)

	b.signal(t, syscall.SIGTERM)
	if code := b.wait(t); code != exitInterrupted || !strings.Contains(b.err.String(), "finishing unit") || !strings.Contains(b.err.String(), "the same command goes on") {
		t.Errorf("b ended with %d: %s", code, b.err.String())
	}
	if last := b.events(t, run); b.count(t, run, "drop") != 0 || b.count(t, run, "claim") != b.count(t, run, "commit")+b.count(t, run, "lost")+b.count(t, run, "overtaken") ||
		last[len(last)-1].Event != "leave" || last[len(last)-1].Message != "interrupted" {
		t.Errorf("b did not finish what it had: %+v", last)
	}
	lines := strings.Split(strings.TrimSpace(a.err.String()), "\n")
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Errorf("not a line of JSON: %s", line)
		}
	}
	a.signal(t, syscall.SIGINT)
	if code := a.wait(t); code != exitInterrupted || !strings.Contains(a.err.String(), "dropping unit") {
		t.Errorf("a ended with %d: %s", code, a.err.String())
	}
	if a.count(t, run, "drop") == 0 || strings.Contains(a.err.String(), "goroutine ") {
		t.Errorf("a dropped nothing: %s", a.err.String())
	}
	if damage, _, _ := actfleet(t, "check", run); damage != exitDamage {
		t.Errorf("check of an interrupted run ends with %d", damage)
	}
	wantNoRemains(t, run)
}

// The second signal ends a node at once, whatever the grace.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	run := filepath.Join(t.TempDir(), "run")
	p := startNode(t, run, "--grace", "1h")
	until(t, "a unit is claimed", func() bool { return p.count(t, run, "claim") > 0 }, p)
	p.signal(t, syscall.SIGTERM)
	p.signal(t, syscall.SIGINT)
	if code := p.wait(t); code != exitInterrupted {
		t.Errorf("ended with %d", code)
	}
	if n := p.count(t, run, "leave"); n != 0 {
		t.Errorf("it took its time: %d leaves", n)
	}
}

func TestNodeFlags(t *testing.T) {
	collect := func(more ...string) []string {
		return append([]string{"collect", "--model", tinyModel, "--data", tinyData, "--out", filepath.Join(t.TempDir(), "run")}, more...)
	}
	p := startNode(t, filepath.Join(t.TempDir(), "run"), "--http", "0")
	p.page(t, "/healthz")
	taken := strings.TrimPrefix(metricsAt.FindStringSubmatch(p.err.String())[1], "http://")
	wantRefusal(t, exitError, []string{taken, "another process"}, collect("--http", taken)...)
	p.stop(t)
	wantRefusal(t, exitUsage, []string{"--log-level loud"}, collect("--log-level", "loud")...)
	wantRefusal(t, exitUsage, []string{"--log-format xml"}, collect("--log-format", "xml")...)
	wantRefusal(t, exitUsage, []string{"--grace"}, collect("--grace", "-1s")...)
}

// A command that a signal ended says that, not which of its calls noticed; the same command goes on.
func TestInterruptedInWords(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{
		{"doctor", "--dir", t.TempDir()},
		{"tokenize", "--model", tinyModel},
	} {
		root := newRoot()
		root.SetArgs(args)
		root.SetIn(strings.NewReader(`{"text":"Snow is white."}`))
		root.SetOut(io.Discard)
		err := root.ExecuteContext(ctx)
		code := exitCode(ctx, err)
		if code != exitInterrupted || lastLine(err, code) != "actfleet: interrupted" {
			t.Errorf("%s: exit %d, %v", args[0], code, err)
		}
	}
}
