package gossip

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/memberlist"

	"actfleet/coordinator"
)

// A string of an introduction may claim any length: what is not there is not read.
func TestIntroductionsClaimAnyLength(t *testing.T) {
	for n := range 256 {
		for have := range 3 {
			b := append([]byte{metaVersion, 0, byte(n)}, make([]byte, 100*have)...)
			if _, err := decodeMeta(b); err != nil && !errors.Is(err, errMeta) {
				t.Errorf("length %d: %v", n, err)
			}
		}
	}
	full := append([]byte{metaVersion, 0, 255}, bytes.Repeat([]byte{'p'}, 255)...)
	full = append(full, 0)
	if m, err := decodeMeta(full); err != nil || len(m.plan) != 255 {
		t.Errorf("a name of 255 bytes: %d, %v", len(m.plan), err)
	}
}

// FuzzIntroduction: what is read of an introduction can be shown, and written again.
func FuzzIntroduction(f *testing.F) {
	f.Add(meta{plan: testPlan, host: "h", service: "127.0.0.1:80"}.encode())
	f.Add([]byte{metaVersion, 1, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMeta(b)
		if err != nil {
			if !errors.Is(err, errMeta) {
				t.Fatal(err)
			}
			return
		}
		if again, err := decodeMeta(m.encode()); err != nil || again != m || !coordinator.ValidName(m.host) {
			t.Fatalf("%+v became %+v: %v", m, again, err)
		}
	})
}

// hostile is a node as memberlist may hand it over.
func hostile(name, addr, meta []byte) *memberlist.Node {
	return &memberlist.Node{Name: string(name), Addr: addr, Port: 7, Meta: meta, State: memberlist.StateAlive}
}

// FuzzCallbacks hands anything to everything that memberlist calls, of a node and of an observer.
func FuzzCallbacks(f *testing.F) {
	s := coordinator.NewState(testPlan, 100)
	s.Apply(coordinator.Delta{Done: []int{1, 99}, Nodes: []coordinator.NodeState{{Node: "a", Host: "h", Claims: []coordinator.Claim{{Unit: 5}}}}})
	good := meta{plan: testPlan, host: "h"}.encode()
	f.Add([]byte("a"), []byte{127, 0, 0, 1}, good, s.Encode())
	f.Add([]byte("\x1b[2J"), []byte{}, []byte{metaVersion, 0, 255}, []byte("AFS1"))
	f.Fuzz(func(t *testing.T, name, addr, introduction, msg []byte) {
		node := newHooks(meta{plan: testPlan}, "me", coordinator.NewSharedState(testPlan, 100), slog.New(slog.DiscardHandler))
		watcher := &listener{hooks: newHooks(meta{observer: true}, "o", nil, slog.New(slog.DiscardHandler))}
		for to, h := range map[delegate]*hooks{node: node, watcher: watcher.hooks} {
			b, n := to, hostile(name, addr, introduction) // without the boundary, which would cover a reader that fails
			if err := b.NotifyAlive(n); err == nil {
				b.NotifyJoin(n)
				b.NotifyUpdate(n)
				b.NotifyLeave(n)
			}
			_ = b.NotifyMerge([]*memberlist.Node{n})
			b.NotifyConflict(n, n)
			b.MergeRemoteState(msg, true)
			b.NotifyMsg(msg)
			for len(node.inbox) > 0 {
				node.merge(<-node.inbox)
			}
			b.LocalState(true)
			b.GetBroadcasts(3, 1400)
			b.NodeMeta(memberlist.MetaMaxSize)
			for _, m := range append(h.alive(), coordinator.Member{}) {
				if !coordinator.ValidName(string(m.Node)) || !coordinator.ValidName(m.Host) {
					t.Fatalf("a member %+v", m)
				}
			}
		}
	})
}

// A reader that fails costs its message: it is counted, and logged once for each sender.
func TestBoundary(t *testing.T) {
	var said lines
	h := newHooks(meta{plan: testPlan}, "me", nil, said.logger()) // without a state, merging fails
	b := boundary{h, h.complaints}
	s := coordinator.NewState(testPlan, 100)
	for range 3 {
		b.MergeRemoteState(s.Encode(), false)
		b.MergeRemoteState([]byte("AFS2"), false)
	}
	n := hostile([]byte("other"), []byte{10, 0, 0, 1}, []byte{metaVersion, 0, 255})
	for range 3 {
		if err := b.NotifyAlive(n); !errors.Is(err, errMeta) {
			t.Errorf("a bad introduction: %v", err)
		}
	}
	if got := h.stats(); got.Bad != 9 || got.Rejected != 0 {
		t.Errorf("counted %+v", got)
	}
	if said.count("\n") != 2 || said.count(`sender="other at 10.0.0.1:7"`) != 1 {
		t.Errorf("said %s", said.b.String())
	}
	for i := range 10 * maxTold {
		h.complain(strings.Repeat("x", i), errMeta)
	}
	if n := said.count("\n"); n > maxTold {
		t.Errorf("%d lines, however many senders are invented", n)
	}
}

// Lines of memberlist that tell of a message it cannot read are counted, with the machine it came from.
func TestUnreadable(t *testing.T) {
	for text, want := range map[string]string{
		"[ERR] memberlist: msg type (97) not supported from=10.0.0.9:4711":                              "10.0.0.9",
		"[ERR] memberlist: Failed to decode alive message: EOF from=[::1]:4711":                         "::1",
		"[ERR] memberlist: failed to receive: unexpected EOF from=10.0.0.9:1":                           "10.0.0.9",
		"[ERR] memberlist: Failed push/pull merge: works on another plan from=10.0.0.9:1":               "",
		"[DEBUG] memberlist: Stream connection from=10.0.0.9:1":                                         "",
		"[ERR] memberlist: Failed to send ack: sendto: operation not permitted from=10.0.0.9:1":         "",
		"[WARN] memberlist: Refuting a suspect message (from: somebody to decode with no machine name)": "",
	} {
		if got, ok := unreadable(text); got != want || ok != (want != "") {
			t.Errorf("%s: from %q, %v", text, got, ok)
		}
	}
}

// frame is a message of memberlist's: its type and a record.
func frame(t *testing.T, kind byte, record any) []byte {
	t.Helper()
	b := bytes.NewBuffer([]byte{kind})
	if err := codec.NewEncoder(b, &codec.MsgpackHandle{}).Encode(record); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Types of memberlist's messages (net.go of v0.7.0).
const (
	aliveType    = 4
	pushPullType = 6
	userType     = 8
)

// attacks are messages as a stranger might send them: real ones, and real ones with hostile contents.
func attacks(t *testing.T) (packets, streams [][]byte) {
	s := coordinator.NewState(testPlan, 100)
	s.Apply(coordinator.Delta{Done: []int{3}, Nodes: []coordinator.NodeState{{Node: "x", Host: "h", Claims: []coordinator.Claim{{Unit: 5}}}}})
	good := meta{plan: testPlan, host: "h"}.encode()
	for _, m := range [][]byte{good, {metaVersion, 0, 255}, append([]byte{metaVersion, 0, 255}, make([]byte, 300)...), nil, {9}} {
		for _, name := range []string{"x", "", "\x1b]0;owned\a", strings.Repeat("n", 5000), "\xff\xfe"} {
			for _, addr := range [][]byte{{127, 0, 0, 1}, nil, make([]byte, 3)} {
				alive := map[string]any{"Incarnation": 7, "Node": name, "Addr": addr, "Port": 9, "Meta": m, "Vsn": []byte{1, 5, 2, 0, 0, 0}}
				packets = append(packets, frame(t, aliveType, alive))
				node := map[string]any{"Name": name, "Addr": addr, "Port": 9, "Meta": m, "Incarnation": 7, "State": 0, "Vsn": []byte{1, 5, 2, 0, 0, 0}}
				head := frame(t, pushPullType, map[string]any{"Nodes": 1, "UserStateLen": len(s.Encode()), "Join": true})
				streams = append(streams, slices.Concat(head, frame(t, 0, node)[1:], s.Encode()))
			}
		}
	}
	packets = append(packets, append([]byte{userType}, s.Encode()...))
	for _, n := range []int{-1, 1 << 20, 1<<31 - 1} {
		streams = append(streams, frame(t, pushPullType, map[string]any{"Nodes": n, "UserStateLen": n, "Join": true}),
			frame(t, userType, map[string]any{"UserMsgLen": n}))
	}
	return packets, streams
}

// mutate changes some bytes of a message, cuts it or repeats a part.
func mutate(rng *rand.Rand, b []byte) []byte {
	b = slices.Clone(b)
	for range rng.IntN(4) {
		if len(b) > 0 {
			b[rng.IntN(len(b))] = byte(rng.Uint32())
		}
	}
	switch at := rng.IntN(len(b) + 1); rng.IntN(4) {
	case 0:
		b = b[:at]
	case 1:
		b = append(b, b[at:]...)
	case 2:
		b = binary.BigEndian.AppendUint64(b[:at], rng.Uint64())
	}
	return b[:min(len(b), 60000)]
}

// Whatever is sent to the sockets of a running fleet, its members go on: they count it, say so once, and still work.
func TestSocketsTakeAnything(t *testing.T) {
	var said lines
	cfg := testConfig(t, "a")
	cfg.Logger = said.logger()
	a := start(t, cfg)
	b := start(t, testConfig(t, "b", a.Addr()))
	eventually(t, a, "they meet", func() bool { return len(a.Members()) == 2 })
	udp, err := net.Dial("udp", a.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	packets, streams := attacks(t)
	for _, p := range packets {
		_, _ = udp.Write(p) // lost packets are no fault
	}
	for _, s := range streams {
		throw(t, a.Addr(), s)
	}
	for range 20_000 {
		_, _ = udp.Write(mutate(rng, packets[rng.IntN(len(packets))]))
	}
	for range 1000 {
		throw(t, a.Addr(), mutate(rng, streams[rng.IntN(len(streams))]))
	}
	b.Publish(coordinator.Delta{Done: []int{7}})
	eventually(t, a, "they still talk", func() bool { return a.State().Done(7) })
	if st := a.Stats(); st.Bad == 0 {
		t.Errorf("counted %+v", st)
	}
	if n := said.count("a message that cannot be read"); n == 0 || n > maxTold {
		t.Errorf("said so %d times", n)
	}
	for _, m := range a.Members() {
		if !coordinator.ValidName(string(m.Node)) || len(m.Node) > maxMetaName {
			t.Errorf("a member %q", m.Node)
		}
	}
	t.Logf("%+v, %d members", a.Stats(), len(a.Members()))
}

// throw sends something by TCP and hangs up.
func throw(t *testing.T, addr string, b []byte) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatalf("the member takes no connections any more: %v", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = conn.Write(b) // the member may have hung up
}
