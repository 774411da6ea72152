package gossip

import (
	"cmp"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"actfleet/coordinator"
	"actfleet/internal/testnet"
)

const testPlan = "0123456789abcdef0123456789abcdef"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testConfig(t *testing.T, node string, join ...string) Config {
	t.Helper()
	return Config{
		Node: coordinator.NodeID(node), Host: "host-" + node, PlanID: testPlan, Units: 100,
		Join: join, JoinFor: 5 * time.Second, Preset: LocalFast,
		Logger: slog.New(slog.DiscardHandler),
	}
}

func start(t *testing.T, cfg Config) *Fleet {
	t.Helper()
	f, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// eventually waits for a condition on what a fleet sees.
func eventually(t *testing.T, f *Fleet, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		changed := f.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond):
		case <-deadline:
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// crash ends a member without a farewell, as kill -9 does.
func crash(t *testing.T, f *Fleet) {
	t.Helper()
	f.closed.Do(func() {
		f.stop()
		if err := f.list.Shutdown(); err != nil {
			t.Error(err)
		}
		f.work.Wait()
	})
}

func TestThreeMembers(t *testing.T) {
	a := start(t, testConfig(t, "a"))
	b := start(t, testConfig(t, "b", a.Addr()))
	c := start(t, testConfig(t, "c", a.Addr()))
	for _, f := range []*Fleet{a, b, c} {
		eventually(t, f, "all see all", func() bool { return len(f.Members()) == 3 })
	}
	if m := c.Members()[0]; m.Node != "a" || m.Host != "host-a" || m.Addr != a.Addr() {
		t.Errorf("member %+v", m)
	}
	b.Publish(coordinator.Delta{Done: []int{7}, Nodes: []coordinator.NodeState{{Node: "b", Seq: 1, Claims: []coordinator.Claim{{Unit: 8, Attempt: 1}}}}})
	for _, f := range []*Fleet{a, c} {
		eventually(t, f, "a done unit and a claim arrive", func() bool {
			n, _ := f.State().Node("b")
			return f.State().Done(7) && len(n.Claims) == 1 && n.Claims[0].Unit == 8
		})
	}
	began := time.Now()
	crash(t, b)
	for _, f := range []*Fleet{a, c} {
		eventually(t, f, "the crash is seen", func() bool { return len(f.Members()) == 2 })
	}
	t.Logf("crash seen by both after %v", time.Since(began))
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, a, "the leave is seen", func() bool { return len(a.Members()) == 1 })
}

// lines collects a log.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// A node whose seed is dead works alone, says so once, and finds the seed when it comes.
func TestLateSeed(t *testing.T) {
	seed := testnet.FreeAddr(t)
	var said lines
	cfg := testConfig(t, "a", seed, "localhost:1")
	cfg.JoinFor, cfg.Logger = 300*time.Millisecond, said.logger()
	a := start(t, cfg)
	a.Publish(coordinator.Delta{Done: []int{3}})
	if len(a.Members()) != 1 || said.count("works alone") != 1 || said.count(seed) == 0 {
		t.Errorf("members %v, log %q", a.Members(), said.b.String())
	}
	time.Sleep(2 * LocalFast.rejoin())
	cfg = testConfig(t, "b")
	cfg.Bind = seed
	b := start(t, cfg)
	eventually(t, b, "they meet", func() bool { return len(b.Members()) == 2 && b.State().Done(3) })
	eventually(t, a, "and it is said", func() bool { return said.count("found the fleet") == 1 })
	crash(t, b)
	eventually(t, a, "it is alone again", func() bool { return said.count("works alone") == 2 })
	if n := said.count("\n"); n != 3 {
		t.Errorf("%d lines for three changes: %s", n, said.b.String())
	}
}

// A fleet of another run that appears at the seed's address refuses the node, which works on alone.
func TestLateStranger(t *testing.T) {
	seed := testnet.FreeAddr(t)
	var said, theirs lines
	cfg := testConfig(t, "a", seed)
	cfg.JoinFor, cfg.Logger = 200*time.Millisecond, said.logger()
	a := start(t, cfg)
	cfg = testConfig(t, "b")
	cfg.Bind, cfg.PlanID, cfg.Logger = seed, "ffff", theirs.logger()
	b := start(t, cfg)
	eventually(t, b, "both say so", func() bool { return said.count("refuses this node") == 1 && theirs.count("refused a node") == 1 })
	if len(a.Members()) != 1 || len(b.Members()) != 1 || said.count("refused a node") != 0 {
		t.Errorf("members %v and %v, log %q", a.Members(), b.Members(), said.b.String())
	}
}

func TestTrouble(t *testing.T) {
	for want, err := range map[string]error{
		"": nil, "unknown name": &net.OpError{Err: &net.DNSError{Name: "seed.fleet"}},
		"no answer": errors.New("connection refused"), "refused": ErrSecret,
	} {
		if got := trouble(err); got != want {
			t.Errorf("%v is %q, want %q", err, got, want)
		}
	}
}

// Where to listen follows from the seeds, also from names that are not known yet.
func TestDefaultBind(t *testing.T) {
	world := sourceAddress(t.Context(), elsewhere)
	for _, c := range []struct {
		join []string
		want string
	}{
		{nil, "127.0.0.1"}, {[]string{"localhost:7946", "127.0.0.1:7946"}, "127.0.0.1"},
		{[]string{"[::1]:7946"}, "127.0.0.1"},
		{[]string{"192.0.2.7:7946"}, cmp.Or(world, "127.0.0.1")},
		{[]string{"seed.invalid:7946"}, cmp.Or(world, "127.0.0.1")},
	} {
		if got := defaultBind(t.Context(), c.join); got != c.want {
			t.Errorf("to join %v a node listens on %s, want %s", c.join, got, c.want)
		}
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := testConfig(t, "a")
	cfg.Bind = l.Addr().String()
	_, err = Start(t.Context(), cfg)
	if !errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), cfg.Bind) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
	t.Log(err)
}

func TestSecret(t *testing.T) {
	key := []byte("0123456789abcdef")
	cfg := testConfig(t, "a")
	cfg.Secret = key
	a := start(t, cfg)
	for name, secret := range map[string][]byte{"wrong": []byte("fedcba9876543210"), "none": nil} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t, "b", a.Addr())
			cfg.Secret = secret
			_, err := Start(t.Context(), cfg)
			if !errors.Is(err, ErrSecret) {
				t.Errorf("got %v", err)
			}
			t.Log(err)
			if _, err := Peek(t.Context(), []string{a.Addr()}, secret); !errors.Is(err, ErrSecret) {
				t.Errorf("peek: got %v", err)
			}
		})
	}
	t.Run("right", func(t *testing.T) {
		cfg := testConfig(t, "c", a.Addr())
		cfg.Secret = key
		c := start(t, cfg)
		eventually(t, c, "joined", func() bool { return len(c.Members()) == 2 })
	})
	t.Run("not needed", func(t *testing.T) {
		open := start(t, testConfig(t, "open"))
		cfg := testConfig(t, "d", open.Addr())
		cfg.Secret = key
		if _, err := Start(t.Context(), cfg); !errors.Is(err, ErrSecret) {
			t.Errorf("got %v", err)
		}
	})
}

func TestOtherPlan(t *testing.T) {
	var lines strings.Builder
	cfg := testConfig(t, "a")
	cfg.Logger = slog.New(slog.NewTextHandler(&lines, nil))
	a := start(t, cfg)
	cfg = testConfig(t, "b", a.Addr())
	cfg.PlanID = "ffff"
	_, err := Start(t.Context(), cfg)
	if !errors.Is(err, coordinator.ErrOtherPlan) {
		t.Errorf("got %v", err)
	}
	t.Log(err)
	eventually(t, a, "the refusal is counted", func() bool { return a.Stats().Rejected > 0 })
	a.Close()
	if !strings.Contains(lines.String(), "ffff") || len(a.Members()) > 1 {
		t.Errorf("members %v, log %q", a.Members(), lines.String())
	}
	t.Log(lines.String())
}

func TestNameTaken(t *testing.T) {
	a := start(t, testConfig(t, "a"))
	_, err := Start(t.Context(), testConfig(t, "a", a.Addr()))
	if !errors.Is(err, ErrNameTaken) {
		t.Errorf("got %v", err)
	}
	t.Log(err)
}

func TestPeek(t *testing.T) {
	a := start(t, testConfig(t, "a"))
	a.Publish(coordinator.Delta{Done: []int{1, 2}})
	s, err := Peek(t.Context(), []string{"127.0.0.1:1", a.Addr()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.State.Plan() != testPlan || s.State.NumDone() != 2 || len(s.Members) != 1 || s.Members[0].Node != "a" {
		t.Errorf("%+v", s)
	}
	if p := s.Progress(time.Now()); p.Done != 2 || p.Total != 100 {
		t.Errorf("%+v", p)
	}
	if _, err := Peek(t.Context(), []string{"127.0.0.1:1"}, nil); !errors.Is(err, ErrNobody) {
		t.Errorf("got %v", err)
	}
}

// A node that dies without a word is shown silent within seconds, though nobody is left to declare it dead; one that
// works is not.
func TestSilentNodeIsSeen(t *testing.T) {
	a := start(t, testConfig(t, "a"))
	a.Publish(coordinator.Delta{Nodes: []coordinator.NodeState{{Node: "a", Seq: 1}}})
	o, err := Observe(t.Context(), []string{a.Addr()}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	o.pingAll(t.Context())
	if n := o.Snapshot().Progress(time.Now()).Nodes[0]; n.Condition() != "working" {
		t.Errorf("a node that answers is %s", n.State())
	}
	crash(t, a)
	began := time.Now()
	for {
		n := o.Snapshot().Progress(time.Now()).Nodes[0]
		if n.Condition() == "silent" {
			t.Logf("%s, seen after %s", n.State(), time.Since(began))
			break
		}
		if time.Since(began) > 15*time.Second {
			t.Fatalf("a dead node is %s", n.State())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Whoever asks a fleet that does not answer has an error to show, and nothing else to read.
func TestEmptySnapshot(t *testing.T) {
	for name, addr := range map[string]string{"no node": "127.0.0.1:1", "no such name": "nobody.invalid:1"} {
		s, err := Peek(t.Context(), []string{addr}, nil)
		if !errors.Is(err, ErrNobody) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
		if p := s.Progress(time.Now()); p.Total != 0 || len(p.Nodes) != 0 {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestSeedMayStartAlone(t *testing.T) {
	addr := testnet.FreeAddr(t)
	cfg := testConfig(t, "a", addr)
	cfg.Bind = addr
	if a := start(t, cfg); a.Addr() != addr {
		t.Errorf("bound %s, want %s", a.Addr(), addr)
	}
}

func TestManyUnitsArriveByPushPull(t *testing.T) {
	cfg := testConfig(t, "a")
	cfg.Units = 5000
	a := start(t, cfg)
	cfg = testConfig(t, "b", a.Addr())
	cfg.Units = 5000
	b := start(t, cfg)
	var all []int
	for u := range 5000 {
		all = append(all, u)
	}
	b.Publish(coordinator.Delta{Done: all})
	eventually(t, a, "all units arrive", func() bool { return a.State().NumDone() == 5000 })
}
