package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// lab is where a fleet of processes runs: a network namespace for each node, all on one bridge, or loopback where
// there are none (ACTFLEET_FLEET_NET is not set).
type lab struct {
	t       *testing.T
	nets    bool
	ports   []string // of the nodes
	servers string   // address at which nodes find what the test serves
}

// newLab makes room for n nodes. Node i's port on the bridge is "afN".
func newLab(t *testing.T, n int) *lab {
	l := &lab{t: t, nets: os.Getenv("ACTFLEET_FLEET_NET") != "", servers: "127.0.0.1"}
	for i := range n {
		l.ports = append(l.ports, fmt.Sprintf("127.0.0.1:%d", 47100+os.Getpid()%100*20+i))
	}
	if !l.nets {
		return l
	}
	l.servers = "10.9.0.254"
	for _, bridge := range []string{"af", "afcut"} {
		l.ip("link", "add", bridge, "type", "bridge")
		l.ip("link", "set", bridge, "up")
		t.Cleanup(func() { l.ip("link", "del", bridge) })
	}
	l.ip("addr", "add", l.servers+"/24", "dev", "af")
	for i := range n {
		name, address := l.name(i), fmt.Sprintf("10.9.0.%d", i+1)
		l.ports[i] = address + ":7946"
		l.ip("netns", "add", name)
		t.Cleanup(func() { l.ip("netns", "del", name) })
		l.ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
		l.ip("link", "set", name, "master", "af", "up")
		l.ip("-n", name, "link", "set", "lo", "up")
		l.ip("-n", name, "addr", "add", address+"/24", "dev", "eth0")
		l.ip("-n", name, "link", "set", "eth0", "up")
	}
	return l
}

func (l *lab) name(i int) string { return fmt.Sprintf("af%d", i) }

func (l *lab) ip(args ...string) {
	l.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		l.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// cut moves nodes to a network of their own; heal brings all back.
func (l *lab) cut(nodes []int) { l.attach(nodes, "afcut") }

func (l *lab) heal(nodes []int) { l.attach(nodes, "af") }

func (l *lab) attach(nodes []int, bridge string) {
	for _, i := range nodes {
		if l.nets {
			l.ip("link", "set", l.name(i), "master", bridge)
		}
	}
}

// start runs actfleet as node i.
func (l *lab) start(i int, args ...string) *process {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	l.t.Cleanup(cancel)
	if args = append([]string{os.Args[0]}, args...); l.nets {
		args = append([]string{"ip", "netns", "exec", l.name(i)}, args...)
	}
	p := &process{Cmd: exec.CommandContext(ctx, args[0], args[1:]...)}
	p.Env = append(os.Environ(), asMain+"=1")
	p.Stdout, p.Stderr = &p.out, &p.err
	if err := p.Start(); err != nil {
		l.t.Fatal(err)
	}
	return p
}

// manyPrompts writes the shipped statements again and again: of --tokens last, a unit takes some tenths of a second
// rather than hundredths.
func manyPrompts(t *testing.T, prompts int) string {
	t.Helper()
	data, err := os.ReadFile(tinyData)
	if err != nil {
		t.Fatal(err)
	}
	var statements []string
	for line := range strings.Lines(string(data)) {
		if _, rest, ok := strings.Cut(line, `"text": "`); ok {
			text, _, _ := strings.Cut(rest, `"`)
			statements = append(statements, text)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	for range prompts {
		fmt.Fprintf(&b, "{\"text\": \"%s\"}\n", statements[r.IntN(len(statements))])
	}
	path := filepath.Join(t.TempDir(), "prompts.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
