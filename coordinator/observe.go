package coordinator

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// observation is what the coordinator sees at one moment, with the hints weighed: the
// whole input of choose.
type observation struct {
	now  time.Time
	idle time.Time // since when this node has nothing to do
	done bitmap
	// order holds every open unit, by this node's own score, best first.
	order []int32
	// nodes are the live nodes; nodes[0] is this one.
	nodes []peer
	// held are the claims of other live nodes on units not done.
	held map[int][]hold
	// mine are the units this node works on.
	mine map[int]Claim
	// opened says since when a unit that was claimed is open again.
	opened map[int]time.Time
	// limit is the first of the units that may not be started yet.
	limit int
	// budget is how many units may still be started speculatively.
	budget int
}

// peer is a live node.
type peer struct {
	id     NodeID
	seed   uint64
	weight float64
	expect time.Duration // of one unit
	known  bool          // expect rests on a measurement of some node,
	own    bool          // and even of this one
	free   bool
}

// hold is the claim of a live node as seen from here.
type hold struct {
	node    int // index in observation.nodes
	attempt int
	seen    time.Time // when this node first saw the claim, on its own clock
}

// memory is what the coordinator remembers from one observation to the next.
type memory struct {
	claims map[claimKey]time.Time
	opened map[int]time.Time
	member map[NodeID]bool
	news   map[NodeID]version
}

type claimKey struct {
	node    NodeID
	unit    int
	started int64
}

// version is when an entry of the state last changed, on this node's clock.
type version struct {
	started int64
	seq     uint64
	at      time.Time
}

func newMemory() memory {
	return memory{
		claims: map[claimKey]time.Time{}, opened: map[int]time.Time{},
		member: map[NodeID]bool{}, news: map[NodeID]version{},
	}
}

// observe weighs what gossip and ledger have told so far, and records what is new in it:
// signs of life, first sights of claims, units that are open again, and those that are
// done and no longer in the order. c.mu is held.
func (c *Coordinator) observe(now time.Time) *observation {
	s := c.peers.State()
	o := &observation{now: now, idle: c.idle, done: c.knownDone(s), limit: c.limit, held: map[int][]hold{}, mine: c.held, opened: c.mem.opened}
	c.pref.shorten(o.done)
	o.order = c.pref.units
	c.recordSigns(s, now)
	live := c.live(s, now)
	o.nodes = c.weigh(live)
	o.budget = c.cfg.speculativeUnits() - c.speculativeStarted(s)
	seen := map[claimKey]time.Time{}
	for i, n := range live {
		if i > 0 {
			c.recordClaims(o, i, n, seen)
		}
	}
	c.recordOpened(o, seen)
	return o
}

// knownDone joins what gossip says with what the ledger said, which wins.
func (c *Coordinator) knownDone(s *State) bitmap {
	done := slices.Clone(s.done)
	for i := range done {
		done[i] = done[i]&^c.refuted[i] | c.truth[i]
	}
	return done
}

// recordSigns remembers who was ever a member, and when each entry of the state last
// changed.
func (c *Coordinator) recordSigns(s *State, now time.Time) {
	for id := range c.members() {
		c.mem.member[id] = true
	}
	for id, n := range s.nodes {
		if v := c.mem.news[id]; v.started != n.Started.UnixNano() || v.seq != n.Seq {
			c.mem.news[id] = version{started: n.Started.UnixNano(), seq: n.Seq, at: now}
		}
	}
}

// members are the other nodes that gossip shows alive.
func (c *Coordinator) members() map[NodeID]bool {
	members := map[NodeID]bool{}
	for _, m := range c.peers.Members() {
		if !m.Observer && m.Node != c.cfg.Node {
			members[m.Node] = true
		}
	}
	return members
}

// live returns the entries of the live nodes, this one first. A node is live while
// it is a member. One that was never yet seen as a member counts as live for a
// while after each of its signs: in a mass start its claims travel faster than its
// membership.
func (c *Coordinator) live(s *State, now time.Time) []*NodeState {
	members := c.members()
	self := c.self()
	out := []*NodeState{&self}
	for _, id := range slices.Sorted(maps.Keys(s.nodes)) {
		n := s.nodes[id]
		if id == c.cfg.Node {
			continue
		}
		fresh := now.Sub(c.mem.news[id].at) < time.Duration(c.cfg.Late*float64(c.cfg.ExpectedUnit))
		if !n.Left && (members[id] || fresh && !c.mem.member[id]) {
			out = append(out, n)
		}
		delete(members, id)
	}
	for _, id := range slices.Sorted(maps.Keys(members)) {
		out = append(out, &NodeState{Node: id})
	}
	return out
}

// weigh gives each live node its weight and expected unit time; a node that has not
// measured yet is taken to be like the mean of those that have, and a paused one goes
// after all others.
func (c *Coordinator) weigh(live []*NodeState) []peer {
	speed, unit, n := 0.0, 0.0, 0.0
	for _, s := range live {
		if s.Speed > 0 && s.UnitTime > 0 {
			speed, unit, n = speed+s.Speed, unit+s.UnitTime.Seconds(), n+1
		}
	}
	speed0, unit0 := 1.0, c.cfg.ExpectedUnit
	if n > 0 {
		speed0, unit0 = speed/n, seconds(unit/n)
	}
	out := make([]peer, len(live))
	for i, s := range live {
		out[i] = peer{id: s.Node, seed: c.seed(s.Node), weight: speed0, expect: unit0, known: n > 0, free: s.free()}
		if s.Speed > 0 && s.UnitTime > 0 {
			out[i].weight, out[i].expect, out[i].own = s.Speed, s.UnitTime, true
		}
		if s.Paused {
			out[i].weight = 0
		}
	}
	return out
}

// speculativeStarted counts the units the fleet has started speculatively.
func (c *Coordinator) speculativeStarted(s *State) int {
	n := c.counts.speculative
	for id, e := range s.nodes {
		if id != c.cfg.Node {
			n += e.Speculative
		}
	}
	return n
}

// recordClaims adds the claims of live node i to the observation and to seen.
func (c *Coordinator) recordClaims(o *observation, i int, n *NodeState, seen map[claimKey]time.Time) {
	for _, cl := range n.Claims {
		if cl.Unit >= c.cfg.Units || o.done.has(cl.Unit) {
			continue
		}
		key := claimKey{n.Node, cl.Unit, cl.Started.UnixNano()}
		at, ok := c.mem.claims[key]
		if !ok {
			at = o.now
		}
		seen[key] = at
		o.held[cl.Unit] = append(o.held[cl.Unit], hold{node: i, attempt: cl.Attempt, seen: at})
	}
}

// recordOpened remembers which units lost their last live claim since the last observation.
func (c *Coordinator) recordOpened(o *observation, seen map[claimKey]time.Time) {
	for key := range c.mem.claims {
		_, again := c.mem.opened[key.unit]
		if _, still := seen[key]; !still && !again && len(o.held[key.unit]) == 0 && !o.done.has(key.unit) {
			c.mem.opened[key.unit] = o.now
		}
	}
	for u := range c.mem.opened {
		if len(o.held[u]) > 0 || o.done.has(u) {
			delete(c.mem.opened, u)
		}
	}
	c.mem.claims = seen
}

// preference is the units that were not seen done yet in the order in which this node
// would take them: by its own score, best first. The weight scales all scores of a node
// alike, so the order never changes; it only gets shorter.
type preference struct {
	units []int32
	done  int // units left out
}

// newPreference sorts the units of a run for one node.
func newPreference(seed uint64, units int) preference {
	type scored struct {
		unit  int32
		score float64
	}
	all := make([]scored, units)
	for u := range all {
		all[u] = scored{int32(u), score(seed, u, 1)}
	}
	slices.SortFunc(all, func(a, b scored) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.unit, b.unit)) })
	p := preference{units: make([]int32, units)}
	for i, s := range all {
		p.units[i] = s.unit
	}
	return p
}

// shorten leaves out what is done, when that is an eighth of the list: so the list is
// read past few units in vain, and rewritten seldom.
func (p *preference) shorten(done bitmap) {
	n := done.count()
	if 8*(n-p.done) <= len(p.units) {
		return
	}
	p.units = slices.DeleteFunc(p.units, func(u int32) bool { return done.has(int(u)) })
	p.done = n
}

// speculativeUnits is how many units of the run may be duplicated for speed.
func (c *Config) speculativeUnits() int { return max(1, int(c.SpeculativeWork*float64(c.Units))) }
