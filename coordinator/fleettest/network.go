package fleettest

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"actfleet/coordinator"
)

// Options describe a network. The zero value of a field means its default.
type Options struct {
	// Plan and Units are those of the run.
	Plan  string
	Units int
	// Latency is the mean time of a delivery, which varies by half. Default 100 ms:
	// what gossip takes with production settings.
	Latency time.Duration
	// Loss is the fraction of messages lost.
	Loss float64
	// Inbox is how many messages may be under way to a node; more are dropped.
	// Default 1024.
	Inbox int
	// PushPull is how often each node exchanges its state with another one. Default
	// 5 s; negative: never.
	PushPull time.Duration
	// Detect is the mean time until an unreachable node vanishes from the members.
	// Default 20 s.
	Detect time.Duration
	// Seed decides all that is random.
	Seed uint64
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.Latency, 100*time.Millisecond)
	def(&o.PushPull, 5*time.Second)
	def(&o.Detect, 20*time.Second)
	if o.Inbox == 0 {
		o.Inbox = 1024
	}
	return o
}

// Network carries the messages of a fleet. Its methods may be called from several
// goroutines when its Scheduler is RealTime.
type Network struct {
	opts  Options
	sched Scheduler

	mu     sync.Mutex
	rng    *rand.Rand
	peers  []*Peer
	mute   bool
	closed bool
	drops  int
}

// NewNetwork returns a network without nodes.
func NewNetwork(s Scheduler, o Options) *Network {
	o = o.withDefaults()
	return &Network{opts: o, sched: s, rng: rand.New(rand.NewPCG(o.Seed, 0x6a09e667f3bcc909))}
}

// Peer is one node's place in a Network.
type Peer struct {
	*coordinator.Board
	net  *Network
	id   coordinator.NodeID
	news func() // called, with the network's lock held, after each change

	down, paused, left bool
	group              int
	inbox              int
	sees               map[coordinator.NodeID]bool
}

var _ coordinator.Peers = (*Peer)(nil)

// Join adds a node. It has the state of a reachable node at once, as a join by
// push/pull gives it; the others see it after the latency.
func (n *Network) Join(id coordinator.NodeID) *Peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := &Peer{Board: coordinator.NewBoard(n.opts.Plan, n.opts.Units), net: n, id: id, sees: map[coordinator.NodeID]bool{id: true}}
	n.peers = append(n.peers, p)
	for _, o := range n.peers {
		if o != p && n.reach(p, o) && !n.mute {
			p.Merge(o.State())
			p.sees[o.id] = true
		}
	}
	n.recheck()
	n.exchange(p)
	return p
}

// Members returns whom this node takes to be alive.
func (p *Peer) Members() []coordinator.Member {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	var out []coordinator.Member
	for _, o := range p.net.peers {
		if p.sees[o.id] {
			out = append(out, coordinator.Member{Node: o.id, Addr: string(o.id)})
		}
	}
	return out
}

// Publish joins a delta and sends it to everybody this node sees.
func (p *Peer) Publish(d coordinator.Delta) {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if p.down || !p.Apply(d) {
		return
	}
	p.changed()
	msg := coordinator.EncodeDelta(p.net.opts.Plan, p.net.opts.Units, d)
	for _, o := range p.net.peers {
		if o != p && p.sees[o.id] {
			p.net.send(p, o, msg)
		}
	}
}

func (p *Peer) changed() {
	if p.news != nil {
		p.news()
	}
}

// send delivers later, unless the message is lost; n.mu is held.
func (n *Network) send(from, to *Peer, msg []byte) {
	if n.mute || n.rng.Float64() < n.opts.Loss || !n.reach(from, to) || to.inbox >= n.opts.Inbox {
		n.drops++
		return
	}
	to.inbox++
	n.sched.Later(n.delay(n.opts.Latency), func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		to.inbox--
		if n.reach(from, to) {
			to.receive(msg)
		}
	})
}

func (p *Peer) receive(msg []byte) {
	s, err := coordinator.DecodeState(msg)
	if err != nil {
		panic(err) // our own encoding
	}
	p.take(s)
}

func (p *Peer) take(s *coordinator.State) {
	if changed, err := p.Merge(s); err == nil && changed {
		p.changed()
	}
}

// delay varies d by half.
func (n *Network) delay(d time.Duration) time.Duration {
	return d/2 + time.Duration(n.rng.Int64N(int64(d)+1))
}

// exchange makes a node's push/pulls, for ever; n.mu is held.
func (n *Network) exchange(p *Peer) {
	if n.opts.PushPull < 0 {
		return
	}
	n.sched.Later(n.delay(n.opts.PushPull), func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.closed || p.down {
			return
		}
		if o := n.partner(p); o != nil && !n.mute {
			swap(p, o)
		}
		n.exchange(p)
	})
}

// swap makes two nodes know what either knows.
func swap(a, b *Peer) {
	a.take(b.State())
	b.take(a.State())
}

func (n *Network) partner(p *Peer) *Peer {
	o := n.peers[n.rng.IntN(len(n.peers))]
	if o == p || !p.sees[o.id] || !n.reach(p, o) {
		return nil
	}
	return o
}

// reach reports whether a message gets from a to b now.
func (n *Network) reach(a, b *Peer) bool {
	return !a.down && !b.down && !a.paused && !b.paused && !a.left && !b.left && a.group == b.group
}

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
	n.recheck()
}

// Partition cuts the network: each group hears only itself, and nodes in no group
// stay together.
func (n *Network) Partition(groups ...[]coordinator.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.peers {
		p.group = 1 + slices.IndexFunc(groups, func(g []coordinator.NodeID) bool { return slices.Contains(g, p.id) })
	}
	n.recheck()
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

// recheck lets every node find out, in its time, who is reachable; n.mu is held.
func (n *Network) recheck() {
	for _, p := range n.peers {
		for _, o := range n.peers {
			if p == o || p.down || p.sees[o.id] == n.reach(p, o) {
				continue
			}
			after := n.opts.Detect
			if o.left || n.reach(p, o) {
				after = n.opts.Latency
			}
			n.sched.Later(n.delay(after), func() { n.notice(p, o) })
		}
	}
}

// notice is the moment p finds out about o.
func (n *Network) notice(p, o *Peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	reach := n.reach(p, o)
	if p.down || p.paused || p.sees[o.id] == reach {
		return
	}
	p.sees[o.id] = reach
	if reach && !n.mute { // what either had to say while it saw nobody
		swap(p, o)
	}
	p.Touch()
	p.changed()
}
