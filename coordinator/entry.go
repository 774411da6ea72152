package coordinator

import (
	"maps"
	"slices"
	"time"
)

// Done says that a unit is committed: by this node if won is set, else by another
// one that was first. took is the time from its start; it measures the node's
// speed.
func (c *Coordinator) Done(unit int, took time.Duration, won bool) {
	if unit < 0 || unit >= c.cfg.Units {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if took > 0 {
		c.took.add(took.Seconds())
		c.workers.add(float64(max(1, c.peak[unit])))
	}
	c.release(unit)
	c.truth.set(unit)
	if won {
		c.counts.done++
	} else {
		c.counts.lost++
	}
	c.publish(unit)
}

// Drop says that this node has given up a unit it had claimed.
func (c *Coordinator) Drop(unit int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.held[unit]; !ok {
		return
	}
	c.release(unit)
	c.publish()
}

// release forgets a claim; c.mu is held.
func (c *Coordinator) release(unit int) {
	delete(c.held, unit)
	delete(c.peak, unit)
}

// Pause tells this node to start nothing new until Resume; units in hand go on, and the
// others take what would be this node's. Next waits meanwhile, or ends when the run is
// complete.
func (c *Coordinator) Pause() { c.pause(true) }

// Resume ends a Pause.
func (c *Coordinator) Resume() { c.pause(false) }

func (c *Coordinator) pause(paused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused != paused {
		c.paused = paused
		c.publish()
	}
}

// Leave drops all units and says that this node is going. Next must not be called
// afterwards.
func (c *Coordinator) Leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = map[int]Claim{}
	n := c.nextSelf()
	n.Left = true
	c.peers.Publish(Delta{Nodes: []NodeState{n}})
}

// publish tells the fleet of this node and of units done; c.mu is held.
func (c *Coordinator) publish(done ...int) {
	c.peers.Publish(Delta{Done: done, Nodes: []NodeState{c.nextSelf()}})
}

// nextSelf is a new version of this node's entry; c.mu is held.
func (c *Coordinator) nextSelf() NodeState {
	c.seq++
	return c.self()
}

// self is this node's entry; c.mu is held.
func (c *Coordinator) self() NodeState {
	n := NodeState{
		Node: c.cfg.Node, Host: c.cfg.Host, Started: c.cfg.Started, Seq: c.seq, Beat: c.cfg.Now(),
		UnitTime: seconds(c.took.mean), Done: c.counts.done, Lost: c.counts.lost, Spare: c.counts.spare,
		Waiting: c.waiting, Paused: c.paused,
	}
	if c.took.n > 0 { // Little's law: throughput = units in work / time of one
		n.Speed = c.workers.mean / c.took.mean
	}
	n.Claims = slices.SortedFunc(maps.Values(c.held), func(a, b Claim) int {
		if d := a.Started.Compare(b.Started); d != 0 {
			return d
		}
		return a.Unit - b.Unit
	})
	return n
}

// seed returns the hash seed of a node.
func (c *Coordinator) seed(id NodeID) uint64 {
	s, ok := c.seeds[id]
	if !ok {
		s = nodeSeed(c.cfg.Salt, id)
		c.seeds[id] = s
	}
	return s
}
