package fleettest

import (
	"math/rand/v2"
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
	// PushPull is how often each node of a small fleet exchanges its state with another
	// one, in a large one less often, as memberlist does. Default 5 s; negative: never.
	PushPull time.Duration
	// Bandwidth is how many bytes of messages a node passes on in a second. What all
	// nodes together have to say beyond that waits, and is lost when more than a
	// thousand messages wait. Default 28,000: four packets of 1400 bytes every 200 ms.
	Bandwidth int
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
	if o.Bandwidth == 0 {
		o.Bandwidth = 4 * 1400 * 5
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
	told   time.Time // when all that was published before has been passed on
	bytes  Traffic
}

// NewNetwork returns a network without nodes.
func NewNetwork(s Scheduler, o Options) *Network {
	o = o.withDefaults()
	return &Network{opts: o, sched: s, rng: rand.New(rand.NewPCG(o.Seed, 0x6a09e667f3bcc909))}
}

// Peer is one node's place in a Network.
type Peer struct {
	*coordinator.SharedState
	net   *Network
	id    coordinator.NodeID
	index int
	news  func() // called, with the network's lock held, after each change

	down, paused, left bool
	group              int
	inbox              int
	sees               []bool               // by index; what lies beyond is not seen
	members            []coordinator.Member // of sees; nil: to be made again
}

var _ coordinator.Peers = (*Peer)(nil)

// Join adds a node. It has the state of a reachable node at once, as a join by
// push/pull gives it; the others see it after the latency.
func (n *Network) Join(id coordinator.NodeID) *Peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := &Peer{SharedState: coordinator.NewSharedState(n.opts.Plan, n.opts.Units), net: n, id: id, index: len(n.peers)}
	n.peers = append(n.peers, p)
	p.note(p, true)
	for _, o := range n.peers[:p.index] {
		if n.reach(p, o) && !n.mute {
			p.Merge(o.State())
			p.note(o, true)
		}
		n.recheck(p, o)
		n.recheck(o, p)
	}
	n.exchange(p)
	return p
}

// saw reports whether p takes o to be alive.
func (p *Peer) saw(o *Peer) bool { return o.index < len(p.sees) && p.sees[o.index] }

// note makes p take o to be alive, or not.
func (p *Peer) note(o *Peer, alive bool) {
	for len(p.sees) <= o.index {
		p.sees = append(p.sees, false)
	}
	p.sees[o.index], p.members = alive, nil
}

// Members returns whom this node takes to be alive.
func (p *Peer) Members() []coordinator.Member {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if p.members == nil {
		for _, o := range p.net.peers {
			if p.saw(o) {
				p.members = append(p.members, coordinator.Member{Node: o.id, Addr: string(o.id)})
			}
		}
	}
	return p.members
}

// Publish joins a delta and sends it to everybody this node sees.
func (p *Peer) Publish(d coordinator.Delta) {
	n := p.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.down || !p.Apply(d) {
		return
	}
	p.changed()
	queued, ok := n.carry(d)
	var waves [maxWaves][]*Peer
	for _, o := range n.peers {
		switch {
		case o == p || !p.saw(o):
		case !ok || n.mute || n.rng.Float64() < n.opts.Loss || !n.reach(p, o) || o.inbox >= n.opts.Inbox:
			n.drops++
		default:
			o.inbox++
			w := n.rng.IntN(maxWaves)
			waves[w] = append(waves[w], o)
		}
	}
	for _, to := range waves {
		if len(to) > 0 {
			n.deliver(p, to, d, queued+n.delay(n.opts.Latency))
		}
	}
}

// maxWaves is how many times a message arrives at; at each of them it reaches some of
// the nodes.
const maxWaves = 8

// deliver brings a message to some nodes later; n.mu is held.
func (n *Network) deliver(from *Peer, to []*Peer, d coordinator.Delta, after time.Duration) {
	n.sched.Later(after, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, o := range to {
			o.inbox--
			if n.reach(from, o) && o.Apply(d) {
				o.changed()
			}
		}
	})
}

func (p *Peer) changed() {
	if p.news != nil {
		p.news()
	}
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
	n.sched.Later(n.delay(n.opts.PushPull*time.Duration(seldom(len(n.peers)))), func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.closed || p.down {
			return
		}
		if o := n.partner(p); o != nil && !n.mute {
			n.weighSwap(p)
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
	if o == p || !p.saw(o) || !n.reach(p, o) {
		return nil
	}
	return o
}

// reach reports whether a message gets from a to b now.
func (n *Network) reach(a, b *Peer) bool {
	return !a.down && !b.down && !a.paused && !b.paused && !a.left && !b.left && a.group == b.group
}
