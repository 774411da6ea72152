package coordinator

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"time"
)

// NodeID names one process of the fleet. It must be unique in the fleet and over
// time: a process that starts again is a new node (see NewNodeID).
type NodeID string

// NewNodeID makes a node id from a host name, a process id and the time the
// process started, such as "gpu3-4242-k1f9".
func NewNodeID(host string, pid int, started time.Time) NodeID {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d %d", host, pid, started.UnixNano())
	tail := strconv.FormatUint(h.Sum64()%(36*36*36*36), 36)
	return NodeID(fmt.Sprintf("%s-%d-%04s", host, pid, tail))
}

// Member is a node that gossip shows alive now.
type Member struct {
	Node NodeID
	// Addr is where the node gossips, "host:port"; empty for a fleet of one.
	Addr string
	// Host is the machine's name, as the node says.
	Host string
	// Service is where the node serves the others for its work, "host:port"; empty when it does not.
	Service string
	// Observer is set for a node that only looks and takes no units.
	Observer bool
	// Silent is for how long the node has given no answer to an observer, which asks every
	// second; 0 while it answers, and where nobody asks.
	Silent time.Duration
}

// Claim says that a node has started a unit.
type Claim struct {
	Unit int
	// Attempt is 1 for the first node to start the unit as far as it knew, one
	// more for each further try.
	Attempt int
	// Started is the time on the claiming node's own clock.
	Started time.Time
	// Percent of the unit was done when the node last spoke of it, 0 to 100; see Coordinator.Advance.
	Percent int
}

// NodeState is what one node says of itself. Only the node itself makes new
// versions; others pass them on. Of two versions the one with the greater
// (Started, Seq) holds.
type NodeState struct {
	Node NodeID
	// Host is the machine's name.
	Host string
	// Started is when the process began, on its own clock.
	Started time.Time
	// Seq counts the versions the process has published.
	Seq uint64
	// Beat is when this version was made, on the node's own clock.
	Beat time.Time
	// Speed is the measured throughput in units per second, all workers of the node
	// together; 0 while unknown.
	Speed float64
	// UnitTime is the mean time from the start of a unit to its commit; before the first
	// commit it is what the unit at hand will take, and 0 while unknown.
	UnitTime time.Duration
	// Done counts units this node was first to commit; Lost counts those it
	// finished after somebody else.
	Done, Lost int
	// Speculative counts units it started although another live node had claimed them.
	Speculative int
	// Waiting is set while the node has nothing to do and waits for a unit.
	Waiting bool
	// Paused is set while the node was told to start nothing new; it finishes what it
	// works on.
	Paused bool
	// Left is set when the node has left the fleet on purpose.
	Left bool
	// Claims are the units the node works on, in the order it took them.
	Claims []Claim
}

// free reports whether the node could start a unit at once.
func (n *NodeState) free() bool { return !n.Paused && (n.Waiting || len(n.Claims) == 0) }

// equal reports whether two versions say the same.
func (n *NodeState) equal(o *NodeState) bool {
	return n.Node == o.Node && n.Host == o.Host && n.Started.Equal(o.Started) && n.Seq == o.Seq &&
		n.Beat.Equal(o.Beat) && n.Speed == o.Speed && n.UnitTime == o.UnitTime &&
		n.Done == o.Done && n.Lost == o.Lost && n.Speculative == o.Speculative && n.Waiting == o.Waiting && n.Paused == o.Paused && n.Left == o.Left &&
		slices.EqualFunc(n.Claims, o.Claims, Claim.equal)
}

func (c Claim) equal(o Claim) bool {
	return c.Unit == o.Unit && c.Attempt == o.Attempt && c.Started.Equal(o.Started) && c.Percent == o.Percent
}

// clone returns a copy that shares nothing.
func (n *NodeState) clone() NodeState {
	c := *n
	c.Claims = slices.Clone(n.Claims)
	return c
}
