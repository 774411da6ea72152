package rendezvous

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"actfleet/coordinator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// town is a fleet in one process: its members and their places.
type town struct {
	*testing.T
	mu      sync.Mutex
	members []coordinator.Member
}

func (t *town) list() []coordinator.Member {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]coordinator.Member(nil), t.members...)
}

// open opens a place of a node; change may alter its Config.
func (t *town) open(node string, ranks int, change func(*Config)) *Place {
	t.Helper()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Node: coordinator.NodeID(node), Host: "here", Members: t.list, Job: []string{"a = 1"}, Ranks: ranks,
		Patience: 2 * time.Second, Tell: func(string) {}}
	if change != nil {
		change(&cfg)
	}
	p := New(cfg, listen)
	t.mu.Lock()
	t.members = append(t.members, coordinator.Member{Node: cfg.Node, Service: p.Addr()})
	t.mu.Unlock()
	t.Cleanup(func() { p.Close() })
	return p
}

// gather lets places find their groups.
func (t *town) gather(again bool, places ...*Place) []*Group {
	t.Helper()
	groups, all := make([]*Group, len(places)), sync.WaitGroup{}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for i, p := range places {
		all.Go(func() {
			g, err := p.Gather(ctx, again)
			if err != nil {
				t.Errorf("place %d: %v", i, err)
			}
			if groups[i] = g; g != nil {
				t.Cleanup(func() { g.Close("") })
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return groups
}

// Nodes that come in any order become ranks 0 to 3 of one group, and cards reach all but their sender.
func TestGather(t *testing.T) {
	town := &town{T: t}
	var places []*Place
	for _, node := range []string{"c", "a", "d", "b"} {
		places = append(places, town.open(node, 4, nil))
	}
	groups := town.gather(false, places...)
	seen := map[int]bool{}
	for _, g := range groups {
		seen[g.Rank] = true
		if g.World != 4 || fmt.Sprint(g.Nodes) != fmt.Sprint(groups[0].Nodes) {
			t.Errorf("rank %d of %d: %v", g.Rank, g.World, g.Nodes)
		}
		if err := g.Tell([]byte{byte(g.Rank)}); err != nil {
			t.Error(err)
		}
	}
	for _, g := range groups {
		var got int
		for range 3 {
			select {
			case card := <-g.Cards():
				got |= 1 << card[0]
			case <-time.After(5 * time.Second):
				t.Fatalf("rank %d lacks cards", g.Rank)
			}
		}
		if got != 0b1111&^(1<<g.Rank) {
			t.Errorf("rank %d has the cards %b", g.Rank, got)
		}
	}
	if len(seen) != 4 {
		t.Errorf("ranks %v", seen)
	}
	var all sync.WaitGroup
	for _, g := range groups {
		all.Go(g.Done)
	}
	all.Wait()
	for _, g := range groups {
		if g.Why() != nil {
			t.Error(g.Why())
		}
	}
}

// When a rank is lost, whichever it is, all learn which, and those left find a smaller group.
func TestLost(t *testing.T) {
	for lost := range 3 {
		t.Run(fmt.Sprint("rank ", lost), func(t *testing.T) { testLost(t, lost) })
	}
}

func testLost(t *testing.T, lost int) {
	t.Parallel()
	town := &town{T: t}
	places := []*Place{town.open("a", 3, nil), town.open("b", 3, nil), town.open("c", 3, nil)}
	groups, reason := town.gather(false, places...), ""
	if lost == 1 {
		reason = "the disk is full"
	}
	for i, g := range groups {
		if g.Rank == lost {
			g.Close(reason)
			places[i].Close()
		}
	}
	var left []*Place
	for i, g := range groups {
		if g.Rank == lost {
			continue
		}
		left = append(left, places[i])
		<-g.Gone()
		if err := g.Why(); !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), fmt.Sprintf("rank %d (%s)", lost, g.Nodes[lost])) ||
			lost == 1 && !strings.Contains(err.Error(), "the disk is full") {
			t.Errorf("rank %d knows %v", g.Rank, err)
		}
		g.Close("")
	}
	for _, g := range town.gather(true, left...) {
		if g.World != 2 {
			t.Errorf("%d are left of 3 ranks", g.World)
		}
	}
}

// A node that comes to a running group waits, and is in the next one; or hears that the job is done.
func TestLate(t *testing.T) {
	town := &town{T: t}
	b := town.open("b", 1, nil)
	g := town.gather(false, b)[0]
	b.cfg.Ranks = 2
	late := make(chan *Group)
	a := town.open("a", 2, nil)
	go func() {
		g, err := a.Gather(t.Context(), false)
		if err != nil {
			t.Error(err)
		}
		late <- g
	}()
	for g.Waiting() == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	g.Close("")
	next := town.gather(true, b)[0]
	if other := <-late; next.World != 2 || next.Rank != 0 || other.Rank != 1 {
		t.Errorf("rank %d and rank %d of %d", next.Rank, other.Rank, next.World)
	}
	over := make(chan error)
	c := town.open("c", 2, nil)
	go func() {
		_, err := c.Gather(t.Context(), false)
		over <- err
	}()
	for next.Waiting() == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	b.Dismiss()
	if err := <-over; !errors.Is(err, ErrOver) {
		t.Errorf("who waited hears %v", err)
	}
}

// A node whose group is gone does not wait for ever: it sees by itself that the job is done, or gives up when it said.
func TestNobodyComes(t *testing.T) {
	town := &town{T: t}
	var done atomic.Bool
	late := town.open("a", 3, func(c *Config) {
		c.Over = done.Load
		c.Tell = func(string) { done.Store(true) } // once it waits, the others end without it
	})
	if _, err := late.Gather(t.Context(), false); !errors.Is(err, ErrOver) {
		t.Errorf("who came late hears %v", err)
	}
	var said string
	alone := town.open("b", 3, func(c *Config) {
		c.Within = 300 * time.Millisecond
		c.Tell = func(line string) { said = line }
	})
	late.Close()
	if _, err := alone.Gather(t.Context(), false); !errors.Is(err, ErrAlone) || !strings.Contains(err.Error(), "2 of 3") {
		t.Errorf("who is alone hears %v", err)
	}
	if !strings.HasPrefix(said, "waiting for 2 more of 3 ranks until ") {
		t.Errorf("said %q", said)
	}
}

// Nodes with another job or another secret are refused, with what differs.
func TestRefused(t *testing.T) {
	for what, change := range map[string]func(*Config){
		"a = 1 there, a = 2 here": func(c *Config) { c.Job = []string{"a = 2"} },
		"another secret":          func(c *Config) { c.Secret = []byte("sixteen bytes...") },
	} {
		town := &town{T: t}
		town.open("a", 2, nil)
		b := town.open("b", 2, change)
		if _, err := b.Gather(t.Context(), false); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), what) {
			t.Errorf("want a refusal that says %q, got %v", what, err)
		}
	}
}

// FuzzMessage: what is taken of a line can be indexed and shown, and is written as it was read.
func FuzzMessage(f *testing.F) {
	for _, m := range []message{{Nonce: []byte("n")}, {Hello: &hello{Node: "a", Host: "h", Job: []string{"a = 1"}}}, {Goto: "127.0.0.1:1"},
		{Start: &start{Rank: 1, Nodes: []coordinator.NodeID{"a", "b"}, Hosts: []string{"h", "i"}}}, {Card: []byte{1}}, {Bye: "\x1b[2J"}} {
		line, err := json.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	f.Add([]byte(`{"Start":{"Rank":9}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := decode(line)
		if err != nil {
			if !errors.Is(err, errMessage) {
				t.Fatal(err)
			}
			return
		}
		if s := m.Start; s != nil && (s.Hosts[s.Rank] != coordinator.Printable(s.Hosts[s.Rank]) || len(s.Nodes) != len(s.Hosts)) {
			t.Fatalf("took %+v", s)
		}
		for _, text := range []string{m.Goto, m.Refuse, m.Gone, m.Bye} {
			if coordinator.Printable(text) != text {
				t.Fatalf("took %q", text)
			}
		}
	})
}

// Messages that no rank of ours sends are refused when they are read.
func TestMessagesAreChecked(t *testing.T) {
	for _, line := range []string{"", "[]", `{"Hello":{"Node":""}}`, `{"Hello":{"Node":"a\u001b[2J"}}`, `{"Hello":{"Node":"a","Host":"\u202e"}}`,
		`{"Start":{"Rank":0,"Nodes":["a"],"Hosts":["h"]}}`, `{"Start":{"Rank":-1,"Nodes":["a","b"],"Hosts":["h","h"]}}`,
		`{"Start":{"Rank":1,"Nodes":["a","b"],"Hosts":["h"]}}`, `{"Start":{"Rank":1,"Nodes":["a",""],"Hosts":["h","h"]}}`,
		`{"Start":{"Rank":1e99}}`, `{"Start":{"Rank":1,"Nodes":["a"` + strings.Repeat(`,"b"`, maxRanks) + `],"Hosts":["a"` + strings.Repeat(`,"b"`, maxRanks) + `]}}`} {
		if m, err := decode([]byte(line)); !errors.Is(err, errMessage) {
			t.Errorf("took %.80s as %+v: %v", line, m, err)
		}
	}
	if m, err := decode([]byte(`{"Bye":"the disk\u001b[2J is full"}`)); err != nil || m.Bye != "the disk\ufffd[2J is full" {
		t.Errorf("a text became %q: %v", m.Bye, err)
	}
}

// A stranger among the members that refuses everybody keeps nobody apart.
func TestOneRefuses(t *testing.T) {
	town := &town{T: t}
	town.open("a", 2, func(c *Config) { c.Job = []string{"another"} })
	for _, g := range town.gather(false, town.open("c", 2, nil), town.open("b", 2, nil)) {
		if g.World != 2 {
			t.Errorf("a group of %d", g.World)
		}
	}
}

// A rank that says twice that it is done counts once.
func TestDoneTwice(t *testing.T) {
	town := &town{T: t}
	groups := town.gather(false, town.open("a", 3, nil), town.open("b", 3, nil), town.open("c", 3, nil))
	for _, g := range groups {
		if g.Rank == 1 {
			for range 3 {
				if err := g.up.send(message{Done: true}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	lead := groups[slices.IndexFunc(groups, func(g *Group) bool { return g.Rank == 0 })]
	if err := groups[slices.IndexFunc(groups, func(g *Group) bool { return g.Rank == 1 })].Tell([]byte("heard")); err != nil {
		t.Fatal(err)
	}
	<-lead.Cards() // what was sent before it has been heard, too
	lead.mu.Lock()
	defer lead.mu.Unlock()
	if lead.done != 1 || lead.over {
		t.Errorf("%d ranks are done, over: %v", lead.done, lead.over)
	}
}

// Strangers that send anything end neither the place nor a group.
func TestStrangers(t *testing.T) {
	town := &town{T: t}
	var mu sync.Mutex
	hangups := 0
	p := town.open("a", 2, func(c *Config) {
		c.Tell = func(line string) {
			mu.Lock()
			defer mu.Unlock()
			hangups += strings.Count(line, "hung up on 127.0.0.1")
		}
	})
	for _, text := range []string{"", "\n", "GET / HTTP/1.1\r\n\r\n", `{"Hello":null}` + "\n", `{"Start":{"Rank":9}}` + "\n", strings.Repeat("x", 2*maxMessage)} {
		conn, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(text)) // the place may have hung up
		conn.Close()
	}
	groups := town.gather(false, p, town.open("b", 2, nil))
	if groups[0].World != 2 {
		t.Errorf("a group of %d", groups[0].World)
	}
	groups[0].Close("")
	p.Close()
	if hangups != 1 {
		t.Errorf("said %d times that it hung up", hangups)
	}
}
