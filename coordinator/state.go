package coordinator

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Limits of what is accepted from the network.
const (
	// maxWireUnits bounds what a message may say of a plan, before anything is allocated: a
	// bitmap of half a megabyte. How many units a run may have is its plan's to say (the
	// keys of its shards), and is less.
	maxWireUnits = 1 << 22
	// MaxNodes bounds the nodes a state remembers, dead ones included. Three times
	// the largest fleet that was thought of (docs/fleet.md), so that restarts fit.
	MaxNodes = 16384
	// MaxClaims bounds the units one node works on at a time: a worker per GPU and
	// one unit being written behind each, with room.
	MaxClaims = 64
	// maxAttempt bounds how often a unit counts as started.
	maxAttempt = math.MaxInt32
	// MaxNameLen bounds node ids, host names and plan ids, in bytes.
	MaxNameLen = 255
)

// ErrOtherPlan means that a message or state belongs to another run.
var ErrOtherPlan = errors.New("works on another plan")

// State is all that gossip knows of a run: the set of units done and the latest
// word of each node about itself. It is a join-semilattice: a unit goes
// open < claimed < done and never back while its claimer lives, the done set only
// grows, a node's entry is replaced only by a greater version. So Merge is
// idempotent, commutative and associative, and any set of messages, delivered in
// any order any number of times, gives the same state. (Beyond MaxNodes new nodes
// are dropped and this no longer holds; nothing but work is lost.)
//
// A State is not safe for concurrent use; see SharedState.
type State struct {
	plan  string
	units int
	done  bitmap
	nodes map[NodeID]*NodeState // what they point to never changes; states share it
}

// Delta is a change of a State: units newly done and new versions of nodes.
type Delta struct {
	Done  []int
	Nodes []NodeState
}

// NewState returns the state in which nothing is known of a plan with so many
// units.
func NewState(plan string, units int) *State {
	return &State{plan: plan, units: units, done: newBitmap(units), nodes: map[NodeID]*NodeState{}}
}

// Plan returns the id of the plan the state is about.
func (s *State) Plan() string { return s.plan }

// Units returns the number of units of the plan.
func (s *State) Units() int { return s.units }

// Done reports whether somebody has said that unit u is committed.
func (s *State) Done(u int) bool { return u >= 0 && u < s.units && s.done.has(u) }

// NumDone counts the units said to be committed.
func (s *State) NumDone() int { return s.done.count() }

// Node returns the latest word of a node.
func (s *State) Node(id NodeID) (NodeState, bool) {
	if n, ok := s.nodes[id]; ok {
		return n.clone(), true
	}
	return NodeState{}, false
}

// Nodes returns the latest word of every node ever seen, by node id.
func (s *State) Nodes() []NodeState {
	out := make([]NodeState, 0, len(s.nodes))
	for _, id := range slices.Sorted(maps.Keys(s.nodes)) {
		out = append(out, s.nodes[id].clone())
	}
	return out
}

// claimed reports whether a node other than self has said that it works on a unit.
func (s *State) claimed(unit int, self NodeID) bool {
	for id, n := range s.nodes {
		if id != self && slices.ContainsFunc(n.Claims, func(c Claim) bool { return c.Unit == unit }) {
			return true
		}
	}
	return false
}

// Clone returns a copy, to which changes of s do not show.
func (s *State) Clone() *State {
	return &State{plan: s.plan, units: s.units, done: slices.Clone(s.done), nodes: maps.Clone(s.nodes)}
}

// Merge joins o into s and reports whether s changed. It fails, and changes
// nothing, when o is about another plan.
func (s *State) Merge(o *State) (bool, error) {
	if s.plan != o.plan || s.units != o.units {
		return false, fmt.Errorf("%w: %.12s with %d units, here %.12s with %d", ErrOtherPlan, o.plan, o.units, s.plan, s.units)
	}
	changed := s.done.union(o.done)
	for _, n := range o.nodes {
		changed = s.mergeNode(n) || changed
	}
	return changed, nil
}

// Apply joins a delta into s and reports whether s changed. Units out of range
// are ignored.
func (s *State) Apply(d Delta) bool {
	changed := false
	for _, u := range d.Done {
		if u >= 0 && u < s.units {
			changed = s.done.set(u) || changed
		}
	}
	for _, n := range d.Nodes {
		if old, ok := s.nodes[n.Node]; !ok || newer(&n, old) {
			own := n.clone()
			changed = s.mergeNode(&own) || changed
		}
	}
	return changed
}

// mergeNode keeps the newer version.
func (s *State) mergeNode(n *NodeState) bool {
	old, ok := s.nodes[n.Node]
	if ok && !newer(n, old) || !ok && len(s.nodes) >= MaxNodes {
		return false
	}
	s.nodes[n.Node] = n
	return true
}

// newer orders the versions of a node. Equal versions with different contents are
// two processes under one name; their bytes decide, so that the order stays total.
func newer(a, b *NodeState) bool {
	if a == b {
		return false
	}
	if !a.Started.Equal(b.Started) {
		return a.Started.After(b.Started)
	}
	if a.Seq != b.Seq {
		return a.Seq > b.Seq
	}
	if a.equal(b) {
		return false
	}
	return bytes.Compare(appendNode(nil, a), appendNode(nil, b)) > 0
}
