package coordinator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// ErrComplete is what Next returns when every unit of the run is committed.
var ErrComplete = errors.New("coordinator: every unit is committed")

// Coordinator tells one node which unit to work on. Its methods may be called from
// several goroutines: a node with several devices calls Next from each of its
// workers.
type Coordinator struct {
	cfg    Config
	ledger Ledger
	peers  Peers
	start  time.Time

	mu      sync.Mutex
	held    map[int]Claim // units this node works on
	peak    map[int]int   // of those, the most units held at a time meanwhile
	watched map[int]watch // of those, what is done to find out whether another node was first
	seq     uint64
	spoke   time.Time // when this node last published
	counts  counts
	took    ewma // seconds of one unit
	workers ewma // units worked on at a time
	waiting bool // as last published
	paused  bool
	idle    time.Time
	joining joinWait
	mem     memory
	pref    preference
	seeds   map[NodeID]uint64

	limit   int    // units from here on may not be started yet
	truth   bitmap // units the ledger showed committed
	refuted bitmap // units gossip calls done that the ledger did not show
	listed  time.Time
	stale   bool // gossip was found to miss commits: list before the next choice
}

type counts struct{ done, lost, speculative int }

// New returns the coordinator of one node. It asks nobody anything yet.
func New(cfg Config, ledger Ledger, peers Peers) (*Coordinator, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.After == nil {
		cfg.After = time.After
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if s := peers.State(); s.Units() != cfg.Units || s.Plan() != cfg.PlanID {
		return nil, fmt.Errorf("%w: peers have %.12q with %d units, the configuration %.12q with %d",
			ErrOtherPlan, s.Plan(), s.Units(), cfg.PlanID, cfg.Units)
	}
	if cfg.Started.IsZero() {
		cfg.Started = cfg.Now()
	}
	return &Coordinator{
		cfg: cfg, ledger: ledger, peers: peers, start: cfg.Now(),
		limit: cfg.Units, held: map[int]Claim{}, peak: map[int]int{}, watched: map[int]watch{}, mem: newMemory(), seeds: map[NodeID]uint64{},
		truth: newBitmap(cfg.Units), refuted: newBitmap(cfg.Units),
		pref: newPreference(nodeSeed(cfg.PlanID, cfg.Node), cfg.Units),
	}, nil
}

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
		c.measure(unit, took)
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

// measure takes note of how long a unit in this node's hands took; c.mu is held.
func (c *Coordinator) measure(unit int, took time.Duration) {
	c.took.add(took.Seconds())
	c.workers.add(float64(max(1, c.peak[unit])))
}

// Drop says that this node has given up a unit it had claimed.
func (c *Coordinator) Drop(unit int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	claim, ok := c.held[unit]
	if !ok {
		return
	}
	c.measureOvertaken(claim)
	c.release(unit)
	c.publish()
}

// release forgets a claim; c.mu is held.
func (c *Coordinator) release(unit int) {
	delete(c.held, unit)
	delete(c.peak, unit)
	delete(c.watched, unit)
}

// Pause tells this node to start nothing new until Resume; the units it works on go on, and the
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

// Limit keeps this node from starting units from n on, until it is called again. Units in hand go on.
func (c *Coordinator) Limit(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limit != n {
		c.limit = n
		c.publish() // wakes Next
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

// Progress reports where the run stands.
func (c *Coordinator) Progress() Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.peers.State()
	me := c.self()
	s.nodes[c.cfg.Node] = &me
	s.done = c.knownDone(s)
	p := Summarize(s, c.peers.Members(), c.cfg.Node, c.cfg.Now())
	p.Own, p.Lost = c.counts.done, c.counts.lost
	return p
}

// Remaining is how long a unit in this node's hands still takes, by how far it is, or by measured times; false
// for a unit it does not hold, and while nobody has measured one.
func (c *Coordinator) Remaining(unit int) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	claim, ok := c.held[unit]
	now := c.cfg.Now()
	age := now.Sub(claim.Started)
	if whole, known := claim.takes(now); ok && known {
		return max(0, whole-age), true
	}
	me := c.weigh(c.live(c.peers.State(), now))[0]
	return remains(age, me.expect), ok && me.known
}

// publish tells the fleet of this node and of units done; c.mu is held.
func (c *Coordinator) publish(done ...int) {
	c.peers.Publish(Delta{Done: done, Nodes: []NodeState{c.nextSelf()}})
}

// nextSelf is a new version of this node's entry; c.mu is held.
func (c *Coordinator) nextSelf() NodeState {
	c.seq++
	c.spoke = c.cfg.Now()
	return c.self()
}

// self is this node's entry; c.mu is held.
func (c *Coordinator) self() NodeState {
	n := NodeState{
		Node: c.cfg.Node, Host: c.cfg.Host, Started: c.cfg.Started, Seq: c.seq, Beat: c.cfg.Now(),
		UnitTime: seconds(c.took.mean), Done: c.counts.done, Lost: c.counts.lost, Speculative: c.counts.speculative,
		Waiting: c.waiting, Paused: c.paused,
	}
	if c.took.n > 0 { // Little's law: throughput = units in work / time of one
		n.Speed = c.workers.mean / c.took.mean
	} else if first := c.firstUnit(n.Beat); first > 0 {
		n.UnitTime, n.Speed = first, float64(len(c.held))/first.Seconds()
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
		s = nodeSeed(c.cfg.PlanID, id)
		c.seeds[id] = s
	}
	return s
}
