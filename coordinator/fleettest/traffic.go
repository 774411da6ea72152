package fleettest

import (
	"math"
	"time"

	"actfleet/coordinator"
)

// Traffic is what gossip sent.
type Traffic struct {
	// Messages is the bytes of all messages, each as often as one node repeats it: as
	// every node passes on every message, this is what each node sends.
	Messages int
	// States is the bytes of the states in all push/pulls of all nodes.
	States int

	exchanges int
}

// Memberlist repeats a message so often times log10 of the fleet's size, rounded up.
const retransmitMult = 4

// maxQueue is how many messages wait at most.
const maxQueue = 1024

// carry counts a published delta, and says how long it waits for those before it and
// whether it is passed on at all. The units done and the node's word are messages of
// their own, as in package gossip.
func (n *Network) carry(d coordinator.Delta) (wait time.Duration, ok bool) {
	size := 0
	for _, part := range []coordinator.Delta{{Done: d.Done}, {Nodes: d.Nodes}} {
		if len(part.Done)+len(part.Nodes) > 0 {
			size += len(coordinator.EncodeDelta(n.opts.Plan, n.opts.Units, part))
		}
	}
	sent := size * retransmitMult * int(math.Ceil(math.Log10(float64(len(n.peers)+1))))
	takes := time.Duration(float64(sent) / float64(n.opts.Bandwidth) * float64(time.Second))
	now := n.sched.Now()
	wait = max(0, n.told.Sub(now))
	if wait > maxQueue*takes {
		return 0, false
	}
	n.told = now.Add(wait + takes)
	n.bytes.Messages += sent
	return wait, true
}

// seldom is by how much memberlist stretches the time between push/pulls.
func seldom(nodes int) int {
	const small = 32
	if nodes <= small {
		return 1
	}
	return 1 + int(math.Ceil(math.Log2(float64(nodes)/small)))
}

// weighSwap counts a push/pull. States are nearly alike, so that one in a hundred is
// encoded for all.
func (n *Network) weighSwap(p *Peer) {
	if n.bytes.exchanges%100 == 0 {
		n.bytes.States += 100 * 2 * len(p.Encode())
	}
	n.bytes.exchanges++
}

// Traffic returns what gossip has sent so far.
func (n *Network) Traffic() Traffic {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.bytes
}
