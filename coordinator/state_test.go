package coordinator

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const lawUnits = 37

// genNode draws a version of one of three nodes; few values, so that versions
// collide.
func genNode(t *rapid.T) NodeState {
	when := func(name string) time.Time {
		return time.Unix(int64(rapid.IntRange(1, 3).Draw(t, name)), 0)
	}
	n := NodeState{
		Node:     NodeID(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "node")),
		Host:     rapid.SampledFrom([]string{"", "h"}).Draw(t, "host"),
		Started:  when("started"),
		Seq:      rapid.Uint64Range(0, 3).Draw(t, "seq"),
		Beat:     when("beat"),
		Speed:    rapid.SampledFrom([]float64{0, 0.5, 3}).Draw(t, "speed"),
		UnitTime: time.Duration(rapid.IntRange(0, 2).Draw(t, "unit time")),
		Done:     rapid.IntRange(0, 2).Draw(t, "done"),
		Waiting:  rapid.Bool().Draw(t, "waiting"),
		Paused:   rapid.Bool().Draw(t, "paused"),
		Left:     rapid.Bool().Draw(t, "left"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "claims") {
		n.Claims = append(n.Claims, Claim{Unit: rapid.IntRange(0, lawUnits-1).Draw(t, "claim"), Attempt: 1, Started: when("claimed"),
			Percent: rapid.SampledFrom([]int{0, 0, 7, 100}).Draw(t, "percent")})
	}
	return n
}

func genDelta(t *rapid.T) Delta {
	d := Delta{Done: rapid.SliceOfN(rapid.IntRange(0, lawUnits-1), 0, 5).Draw(t, "units")}
	for range rapid.IntRange(0, 3).Draw(t, "nodes") {
		d.Nodes = append(d.Nodes, genNode(t))
	}
	return d
}

func genState(t *rapid.T) *State {
	s := NewState("plan", lawUnits)
	for range rapid.IntRange(0, 3).Draw(t, "deltas") {
		s.Apply(genDelta(t))
	}
	return s
}

func join(t *rapid.T, a, b *State) *State {
	out := a.Clone()
	if _, err := out.Merge(b); err != nil {
		t.Fatal(err)
	}
	return out
}

func same(a, b *State) bool { return bytes.Equal(a.Encode(), b.Encode()) }

func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := genState(t), genState(t), genState(t)
		if !same(join(t, a, a), a) {
			t.Fatal("not idempotent")
		}
		if !same(join(t, a, b), join(t, b, a)) {
			t.Fatal("not commutative")
		}
		if !same(join(t, join(t, a, b), c), join(t, a, join(t, b, c))) {
			t.Fatal("not associative")
		}
		ab := join(t, a, b)
		if changed, _ := ab.Merge(b); changed {
			t.Fatal("a merge of nothing new reports a change")
		}
		for u := range lawUnits {
			if ab.Done(u) != (a.Done(u) || b.Done(u)) {
				t.Fatalf("unit %d", u)
			}
		}
	})
}

// TestDeltas: deltas delivered in any order, some twice, some inside whole states,
// give the same state.
func TestDeltas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		deltas := rapid.SliceOfN(rapid.Custom(genDelta), 1, 6).Draw(t, "all")
		want := NewState("plan", lawUnits)
		for _, d := range deltas {
			want.Apply(d)
		}
		got := NewState("plan", lawUnits)
		twice := append(slices.Clone(deltas), rapid.SampledFrom(deltas).Draw(t, "again"))
		for _, d := range rapid.Permutation(twice).Draw(t, "order") {
			if rapid.Bool().Draw(t, "as state") {
				part, err := DecodeState(EncodeDelta("plan", lawUnits, d))
				if err != nil {
					t.Fatal(err)
				}
				got.Merge(part)
			} else {
				got.Apply(d)
			}
		}
		if !same(got, want) {
			t.Fatal("order or repetition matters")
		}
	})
}

func TestEncodeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genState(t)
		got, err := DecodeState(s.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if !same(got, s) || got.Plan() != s.Plan() || got.Units() != s.Units() {
			t.Fatal("changed")
		}
	})
}

func TestMergeRefusesOtherPlans(t *testing.T) {
	s := NewState("a", 10)
	for _, o := range []*State{NewState("b", 10), NewState("a", 11)} {
		o.Apply(Delta{Done: []int{1}})
		if _, err := s.Merge(o); !errors.Is(err, ErrOtherPlan) || s.NumDone() != 0 {
			t.Errorf("got %v", err)
		}
	}
}

func TestStateIgnoresUnitsOutOfRange(t *testing.T) {
	s := NewState("a", 10)
	if s.Apply(Delta{Done: []int{-1, 10, 1 << 40}}) || s.Done(-1) || s.Done(10) {
		t.Error("took a unit that does not exist")
	}
}

func TestEncodingIsSmall(t *testing.T) {
	s := NewState("plan", 100_000)
	var half []int
	for u := range 50_000 {
		half = append(half, 2*u)
	}
	s.Apply(Delta{Done: half})
	if n := len(s.Encode()); n > 100_000/8+64 {
		t.Errorf("%d bytes for a bitmap of 12500", n)
	}
	n := NodeState{Node: "gpu-node-17-4242-abcd", Host: "gpu-node-17", Started: time.Now(), Beat: time.Now(),
		Speed: 0.1, Seq: 1000, UnitTime: time.Minute, Claims: []Claim{{Unit: 99_000, Attempt: 1, Started: time.Now()}}}
	if n := len(EncodeDelta("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 100_000, Delta{Nodes: []NodeState{n}})); n > 200 {
		t.Errorf("%d bytes for one node", n)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := NewState("plan", 20)
	good.Apply(Delta{Done: []int{3}, Nodes: []NodeState{{Node: "a", Claims: []Claim{{Unit: 5}}}}})
	b := good.Encode()
	for n := range b {
		if _, err := DecodeState(b[:n]); !errors.Is(err, ErrDecode) {
			t.Errorf("%d of %d bytes: %v", n, len(b), err)
		}
	}
	if _, err := DecodeState(append(b, 0)); !errors.Is(err, ErrDecode) {
		t.Errorf("trailing byte: %v", err)
	}
	head := func(units uint64) []byte { return appendHead(nil, "p", int(units)) }
	for name, b := range map[string][]byte{
		"too many units":      append(head(maxWireUnits+1), 0, 0, 0),
		"units beyond":        append(head(3), doneList, 1, 3, 0),
		"spare bits":          append(head(3), doneBitmap, 8, 0),
		"too many nodes":      append(head(3), doneList, 0, 0xff, 0xff, 0xff, 0x7f),
		"huge count":          append(head(3), doneList, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
		"negative speed":      append(append(head(3), doneList, 0), speedNode(-1)...),
		"not a speed":         append(append(head(3), doneList, 0), speedNode(math.NaN())...),
		"a speed without end": append(append(head(3), doneList, 0), speedNode(math.MaxFloat64)...),
		"a unit of 200 years": append(append(head(3), doneList, 0), appendNode([]byte{1}, &NodeState{Node: "a", UnitTime: math.MaxInt64})...),
		"an escape in a name": append(append(head(3), doneList, 0), appendNode([]byte{1}, &NodeState{Node: "a\x1b[2J"})...),
		"a host not in UTF-8": append(append(head(3), doneList, 0), appendNode([]byte{1}, &NodeState{Node: "a", Host: "\xff"})...),
		"text that turns":     append(append(head(3), doneList, 0), appendNode([]byte{1}, &NodeState{Node: "a\u202eb"})...),
		"a plan of newlines":  append(appendHead(nil, "p\n", 3), doneList, 0, 0),
		"nobody":              append(append(head(3), doneList, 0), appendNode([]byte{1}, &NodeState{})...),
		"a claim beyond":      append(append(head(3), doneList, 0), appendNode([]byte{1}, &NodeState{Node: "a", Claims: []Claim{{Unit: 3}}})...),
		"a claim of nothing":  append(append(head(0), doneList, 0), appendNode([]byte{1}, &NodeState{Node: "a", Claims: []Claim{{Unit: 0}}})...),
		"unknown done set":    append(head(3), 7),
	} {
		if _, err := DecodeState(b); !errors.Is(err, ErrDecode) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func speedNode(v float64) []byte { return appendNode([]byte{1}, &NodeState{Node: "a", Speed: v}) }

func FuzzDecodeState(f *testing.F) {
	s := NewState("plan", 20)
	f.Add(s.Encode())
	s.Apply(Delta{Done: []int{1, 2, 19}, Nodes: []NodeState{{Node: "a", Host: "h", Seq: 3, Speed: 2, Claims: []Claim{{Unit: 5, Attempt: 1}}}, {Node: "b", Left: true}}})
	f.Add(s.Encode())
	for u := range 20 {
		s.Apply(Delta{Done: []int{u}})
	}
	f.Add(s.Encode())
	f.Add([]byte(magic + "\x00\xff\xff\xff\x01\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeState(b)
		if err != nil {
			if !errors.Is(err, ErrDecode) {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := DecodeState(s.Encode())
		if err != nil || !same(s, again) {
			t.Fatalf("encoding what was decoded: %v", err)
		}
		if _, err := again.Merge(s); err != nil {
			t.Fatal(err)
		}
	})
}
