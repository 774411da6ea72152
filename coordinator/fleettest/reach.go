package fleettest

import (
	"slices"

	"actfleet/coordinator"
)

// Crash ends a node: it never says anything again.
func (n *Network) Crash(id coordinator.NodeID) { n.change(id, func(p *Peer) { p.down = true }) }

// Leave takes a node out; the others know after the latency.
func (n *Network) Leave(id coordinator.NodeID) { n.change(id, func(p *Peer) { p.left = true }) }

// Pause stops a node; Resume lets it go on, with what it knew.
func (n *Network) Pause(id coordinator.NodeID) { n.change(id, func(p *Peer) { p.paused = true }) }

// Resume lets a paused node go on.
func (n *Network) Resume(id coordinator.NodeID) { n.change(id, func(p *Peer) { p.paused = false }) }

func (n *Network) change(id coordinator.NodeID, f func(*Peer)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.peers {
		if p.id == id {
			f(p)
		}
	}
	n.recheckAll()
}

// Partition cuts the network: each group hears only itself, and nodes in no group
// stay together.
func (n *Network) Partition(groups ...[]coordinator.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.peers {
		p.group = 1 + slices.IndexFunc(groups, func(g []coordinator.NodeID) bool { return slices.Contains(g, p.id) })
	}
	n.recheckAll()
}

// Heal ends all partitions.
func (n *Network) Heal() { n.Partition() }

// Mute loses every message from now on, while members go on seeing each other; or
// stops doing so.
func (n *Network) Mute(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mute = on
}

// Drops counts the messages lost.
func (n *Network) Drops() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.drops
}

// Close stops the periodic exchanges.
func (n *Network) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
}

// recheckAll lets every node find out, in its time, who is reachable; n.mu is held.
func (n *Network) recheckAll() {
	for _, p := range n.peers {
		for _, o := range n.peers {
			n.recheck(p, o)
		}
	}
}

func (n *Network) recheck(p, o *Peer) {
	if p == o || p.down || p.saw(o) == n.reach(p, o) {
		return
	}
	after := n.opts.Detect
	if o.left || n.reach(p, o) {
		after = n.opts.Latency
	}
	n.sched.Later(n.delay(after), func() { n.notice(p, o) })
}

// notice is the moment p finds out about o.
func (n *Network) notice(p, o *Peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	reach := n.reach(p, o)
	if p.down || p.paused || p.saw(o) == reach {
		return
	}
	p.note(o, reach)
	if reach && !n.mute { // what either had to say while it saw nobody
		swap(p, o)
	}
	p.Touch()
	p.changed()
}
