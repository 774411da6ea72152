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

	"actfleet/internal/testnet"
)

// netsAllowed is the environment variable that scripts/fleet.sh sets where the test may make network namespaces.
const netsAllowed = "ACTFLEET_FLEET_NET"

// lab is where a fleet of processes runs: a network namespace for each node, all on one hub, or loopback where there are
// none.
type lab struct {
	t       *testing.T
	hub     *hub     // nil on loopback
	ports   []string // of the nodes
	servers string   // address at which nodes find what the test serves
}

// newLab makes room for n nodes. Node i's namespace is "afI".
func newLab(t *testing.T, n int) *lab { return newLossyLab(t, n, 0, 0) }

// newLossyLab is newLab with a network that loses a share of the packets.
func newLossyLab(t *testing.T, n int, loss float64, seed uint64) *lab {
	l := &lab{t: t, servers: "127.0.0.1"}
	for range n {
		l.ports = append(l.ports, testnet.FreeAddr(t))
	}
	if os.Getenv(netsAllowed) == "" {
		return l
	}
	l.hub, l.servers = newHub(t, loss, seed), address(n)
	l.plug(n, "")
	for i := range n {
		l.ports[i] = address(i) + ":7946"
		l.ip("netns", "add", l.name(i))
		t.Cleanup(func() { l.ip("netns", "del", l.name(i)) })
		l.ip("-n", l.name(i), "link", "set", "lo", "up")
		l.plug(i, l.name(i))
	}
	return l
}

// address is that of place i of the hub; the test's own comes after those of the nodes.
func address(i int) string { return fmt.Sprintf("10.9.0.%d", i+1) }

func (l *lab) name(i int) string { return fmt.Sprintf("af%d", i) }

// plug makes place i of the hub a device in a namespace; "" is the test's own.
func (l *lab) plug(i int, namespace string) {
	device, at := fmt.Sprintf("afhub%d", i), []string{}
	l.hub.plug(l.t, device, address(i))
	if namespace != "" {
		l.ip("link", "set", device, "netns", namespace)
		at = []string{"-n", namespace}
	}
	l.ip(append(at, "addr", "add", address(i)+"/24", "dev", device)...)
	l.ip(append(at, "link", "set", device, "mtu", fmt.Sprint(hubMTU), "up")...)
}

func (l *lab) ip(args ...string) {
	l.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		l.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// cut moves nodes to a network of their own; heal brings all back.
func (l *lab) cut(nodes []int) { l.group(nodes, 1) }

func (l *lab) heal(nodes []int) { l.group(nodes, 0) }

func (l *lab) group(nodes []int, group int) {
	for _, i := range nodes {
		if l.hub != nil {
			l.hub.move(address(i), group)
		}
	}
}

// String says what became of the packets.
func (l *lab) String() string {
	if l.hub == nil {
		return "on loopback"
	}
	passed, lost := l.hub.counts()
	return fmt.Sprintf("%d packets passed, %d lost", passed, lost)
}

// start runs actfleet as node i.
func (l *lab) start(i int, args ...string) *process {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	l.t.Cleanup(cancel)
	if args = append([]string{os.Args[0]}, args...); l.hub != nil {
		args = append([]string{"ip", "netns", "exec", l.name(i)}, args...)
	}
	p := &process{Cmd: exec.CommandContext(ctx, args[0], args[1:]...)}
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
