package gossip

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"
)

// silent is the address of something that takes connections and never answers, as a stopped node does.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// Seeds that hang do not use up the time of one that answers.
func TestSilentSeeds(t *testing.T) {
	seeds := []string{silent(t), silent(t), silent(t), silent(t)}
	a := start(t, testConfig(t, "a"))
	b := start(t, testConfig(t, "b", append(seeds, a.Addr())...))
	if n := len(b.Members()); n != 2 {
		t.Errorf("%d members after the join, want 2", n)
	}
	seen, err := Peek(t.Context(), append(seeds[:1:1], b.Addr()), nil)
	if err != nil || len(seen.Members) != 2 {
		t.Errorf("an observer saw %d members: %v", len(seen.Members), err)
	}
}

// A node whose seeds all hang goes on alone in time, and says which they are.
func TestOnlySilentSeeds(t *testing.T) {
	var log lines
	cfg := testConfig(t, "a", silent(t), silent(t))
	cfg.JoinFor, cfg.Logger = time.Second, log.logger()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	f, err := Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if log.count("works alone") != 1 || log.count(strings.Join(cfg.Join, ", ")) != 1 {
		t.Errorf("after %s it said %q", time.Since(began), log.b.String())
	}
}
