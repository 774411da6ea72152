package coordinator

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// claimOf is what the node itself last said of a unit.
func claimOf(t *testing.T, p Peers, node NodeID) Claim {
	t.Helper()
	n, ok := p.State().Node(node)
	if !ok || len(n.Claims) != 1 {
		t.Fatalf("%+v is no node with a claim", n)
	}
	return n.Claims[0]
}

// crowd is a fleet of one that looks like one of many.
type crowd struct {
	Peers
	members int
}

func (c crowd) Members() []Member { return make([]Member, c.members) }

func TestALongUnitIsSpokenOfNowAndThen(t *testing.T) {
	for _, tc := range []struct {
		members int
		quiet   time.Duration
	}{{1, 5 * time.Second}, {5, 5 * time.Second}, {500, 500 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			cfg := testConfig("a", 3)
			peers := crowd{Alone("a", "host", "plan", 3), 1}
			c, err := New(cfg, newLedger(3), &peers)
			if err != nil {
				t.Fatal(err)
			}
			unit, err := c.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			peers.members = tc.members
			time.Sleep(tc.quiet - time.Millisecond)
			c.Advance(unit, 0.25)
			if got := claimOf(t, peers, "a").Percent; got != 0 {
				t.Errorf("%d members: %d %% were published before their time", tc.members, got)
			}
			if p := c.Progress(); p.InHand != 0.25 {
				t.Errorf("the node itself knows of %v units in hand", p.InHand)
			}
			time.Sleep(time.Millisecond)
			c.Advance(unit, 0.501)
			n, _ := peers.State().Node("a")
			if got := claimOf(t, peers, "a").Percent; got != 50 || n.UnitTime.Round(time.Millisecond) != 2*tc.quiet || n.Speed <= 0 {
				t.Errorf("%d members: %d %%, a unit of %s, speed %v", tc.members, got, n.UnitTime, n.Speed)
			}
			if p := c.Progress(); p.ETA.Round(time.Second) != 5*tc.quiet {
				t.Errorf("2.5 units of %s are left, ETA %s", 2*tc.quiet, p.ETA)
			}
			if left, known := c.Remaining(unit); !known || left.Round(time.Millisecond) != tc.quiet {
				t.Errorf("half a unit takes %s more, known: %v", left, known)
			}
		})
	}
}

func TestProgressIsBounded(t *testing.T) {
	c := newAlone(t, 2, newLedger(2))
	unit, err := c.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for part, want := range map[float64]int{-1: 0, 2: 100, 0.999: 99} {
		c.Advance(unit, part)
		c.Advance(1-unit, part) // not in hand
		if got := c.self().Claims; len(got) != 1 || got[0].Percent != want {
			t.Errorf("part %v: %+v, want %d %%", part, got, want)
		}
	}
}

// The bytes of a node that has not said how far it is are those of versions that could not.
func TestPercentsAreReadAndMayBeMissing(t *testing.T) {
	at := time.Unix(5, 0)
	word := func(percent int) Delta {
		return Delta{Nodes: []NodeState{{Node: "a", Started: at, Claims: []Claim{{Unit: 1, Attempt: 1, Started: at, Percent: percent}, {Unit: 2, Attempt: 1, Started: at}}}}}
	}
	without, with := EncodeDelta("plan", 10, word(0)), EncodeDelta("plan", 10, word(77))
	if len(with) != len(without)+2 {
		t.Errorf("%d bytes with percents, %d without", len(with), len(without))
	}
	const before = "AFS1\x04plan\n\x00\x00\x01\x01a\x00\x80\xc8\xaf\xa0%\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x01\x01\x80\xc8\xaf\xa0%\x02\x01\x80\xc8\xaf\xa0%"
	if string(without) != before {
		t.Errorf("the bytes of version AFS1 changed: %q", without)
	}
	s, err := DecodeState(with)
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := s.Node("a"); n.Claims[0].Percent != 77 || n.Claims[1].Percent != 0 {
		t.Errorf("read %+v", n.Claims)
	}
	if _, err := DecodeState(bytes.Replace(with, []byte{77}, []byte{101}, 1)); !errors.Is(err, ErrDecode) {
		t.Errorf("101 %% were accepted: %v", err)
	}
}

func TestTheETAKnowsWhatIsInHand(t *testing.T) {
	now := time.Unix(1000, 0)
	node := func(id NodeID, unit, percent int) NodeState {
		return NodeState{Node: id, Started: now, Beat: now, Speed: 0.01, UnitTime: 100 * time.Second, Claims: []Claim{{Unit: unit, Percent: percent}}}
	}
	for _, tc := range []struct {
		name   string
		done   []int
		nodes  []NodeState
		inHand float64
		eta    time.Duration
	}{
		{"two units of four, half done each", []int{0, 1}, []NodeState{node("a", 2, 50), node("b", 3, 50)}, 1, 50 * time.Second},
		{"the last unit, of one of two nodes", []int{0, 1, 2}, []NodeState{node("a", 3, 40), {Node: "b", Started: now, Speed: 0.01, UnitTime: 100 * time.Second, Waiting: true}}, 0.4, 60 * time.Second},
		{"a unit by two counts once", []int{0, 1, 2}, []NodeState{node("a", 3, 40), node("b", 3, 80)}, 0.8, 20 * time.Second},
		{"a unit that is done is not in hand", []int{0, 1, 2}, []NodeState{node("a", 2, 90), node("b", 3, 50)}, 0.5, 50 * time.Second},
		{"that of a dead node neither", []int{0, 1, 2}, []NodeState{node("gone", 3, 90), node("a", 2, 10)}, 0, 100 * time.Second},
	} {
		s := NewState("plan", 4)
		s.Apply(Delta{Done: tc.done, Nodes: tc.nodes})
		p := Summarize(s, []Member{{Node: "a"}, {Node: "b"}}, "a", now)
		if p.InHand != tc.inHand || p.ETA.Round(time.Millisecond) != tc.eta {
			t.Errorf("%s: %v units in hand, ETA %s, want %v and %s", tc.name, p.InHand, p.ETA, tc.inHand, tc.eta)
		}
	}
}
