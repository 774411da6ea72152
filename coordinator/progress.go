package coordinator

import (
	"fmt"
	"time"
)

// Progress is where a run stands, as far as one node knows.
type Progress struct {
	// Done of Total units are committed.
	Done, Total int
	// Own counts the units this node was first to commit, Lost those where another
	// one was.
	Own, Lost int
	// Throughput is the measured speed of the live nodes that are not paused together, in units per second; 0
	// while nothing is measured.
	Throughput float64
	// ETA is the time left at this rate, negative while unknown.
	ETA time.Duration
	// Nodes are all nodes ever seen, by node id.
	Nodes []NodeProgress
	// Bad counts the messages that an observer of the fleet could not read.
	Bad int64
}

// NodeProgress is one node's part of a run.
type NodeProgress struct {
	NodeState
	// Self marks the node that reports.
	Self bool
	// Live is set while gossip shows the node alive.
	Live bool
	// Share is its part of the units committed by the nodes listed.
	Share float64
	// Age is how long ago the node last said something, by the two clocks.
	Age time.Duration
	// Silent is for how long a live node has given no answer; see Member.
	Silent time.Duration
}

// Condition is what the node does, in a word: left, gone (died or cut off), silent, paused, waiting or working.
func (n NodeProgress) Condition() string {
	switch {
	case n.Left:
		return "left"
	case !n.Live:
		return "gone"
	case n.Silent > 0:
		return "silent"
	case n.Paused:
		return "paused"
	case n.Waiting:
		return "waiting"
	}
	return "working"
}

// State is the Condition as a person should read it: a silent node's with the time.
func (n NodeProgress) State() string {
	if n.Condition() != "silent" {
		return n.Condition()
	}
	return fmt.Sprintf("silent for %.0f s", n.Silent.Seconds())
}

// Summarize makes a Progress of a state and the members alive; self may be empty.
func Summarize(s *State, members []Member, self NodeID, now time.Time) Progress {
	live, silent := map[NodeID]bool{self: true}, map[NodeID]time.Duration{}
	for _, m := range members {
		live[m.Node], silent[m.Node] = true, m.Silent
	}
	p := Progress{Done: s.NumDone(), Total: s.Units()}
	sum := 0
	for _, n := range s.Nodes() {
		sum += n.Done
		alive := live[n.Node] && !n.Left
		if alive && !n.Paused {
			p.Throughput += n.Speed
		}
		p.Nodes = append(p.Nodes, NodeProgress{NodeState: n, Self: n.Node == self, Live: alive, Age: max(0, now.Sub(n.Beat)), Silent: silent[n.Node]})
	}
	for i := range p.Nodes {
		p.Nodes[i].Share = float64(p.Nodes[i].Done) / float64(max(1, sum))
	}
	p.ETA = eta(p)
	return p
}

func eta(p Progress) time.Duration {
	switch {
	case p.Done >= p.Total:
		return 0
	case p.Throughput <= 0:
		return -1
	}
	return seconds(float64(p.Total-p.Done) / p.Throughput)
}

// SameHost counts the members on one machine, for sharing its cores.
func SameHost(members []Member, host string) int {
	n := 0
	for _, m := range members {
		if m.Host == host && !m.Observer {
			n++
		}
	}
	return n
}
