package coordinator

import (
	"context"
	"fmt"
	"time"
)

// Next blocks until this node should start a unit and returns it, claimed. The
// caller works on it and then calls Done, or Drop if it gives up; meanwhile Overtaken tells it
// whether another node was first. Next returns
// ErrComplete when every unit is committed, the context's error when
// that ends, and the ledger's errors.
func (c *Coordinator) Next(ctx context.Context) (int, error) {
	for {
		changed := c.peers.Changed()
		turn, err := c.Try(ctx)
		if err != nil || turn.Start {
			return turn.Unit, err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-changed:
		case <-c.cfg.After(turn.Wait):
		}
	}
}

// Turn is what a node should do now.
type Turn struct {
	// Start is set when Unit should be started now.
	Start bool
	Unit  int
	// Wait is, when Start is not set, after which time to ask again, unless the
	// peers signal a change before.
	Wait time.Duration
}

// Try is Next without waiting, for callers with a clock of their own.
func (c *Coordinator) Try(ctx context.Context) (Turn, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Turn{}, err
		}
		s := c.step()
		switch s.do {
		case doWait:
			return Turn{Wait: s.wait}, nil
		case doComplete:
			return Turn{}, ErrComplete
		case doList:
			if err := c.list(ctx); err != nil {
				return Turn{}, err
			}
		case doStart:
			if ok, err := c.confirm(ctx, s.unit, s.speculative); err != nil || ok {
				return Turn{Start: ok, Unit: s.unit}, err
			}
		}
	}
}

// step is what Try should do next.
type step struct {
	do          int
	unit        int
	speculative bool
	wait        time.Duration
}

const (
	doWait = iota
	doList
	doStart
	doComplete
)

// step decides; a unit to start is claimed already.
func (c *Coordinator) step() step {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.cfg.Now()
	if c.truth.count() == c.cfg.Units && !c.listed.IsZero() {
		return step{do: doComplete}
	}
	if c.listed.IsZero() || c.stale {
		return step{do: doList}
	}
	if c.idle.IsZero() {
		c.idle = now
	}
	o := c.observe(now)
	if o.done.count() == c.cfg.Units {
		return step{do: doList}
	}
	if wait := c.joining.wait(&c.cfg, c.peers.Members(), now); wait > 0 {
		return step{do: doWait, wait: wait}
	}
	return c.pick(o)
}

// pick claims the unit to start, or says how long to wait; c.mu is held.
func (c *Coordinator) pick(o *observation) step {
	best := choice{unit: -1}
	if !c.paused {
		best = choose(&c.cfg, o)
	}
	if best.unit >= 0 && !best.at.After(o.now) && len(c.held) < MaxClaims {
		c.claim(best, o.now)
		c.watched[best.unit] = watch{ask: o.now.Add(c.cfg.relist(o.nodes[0].expect))}
		return step{do: doStart, unit: best.unit, speculative: best.speculative}
	}
	wait := c.listed.Add(c.cfg.relist(o.nodes[0].expect)).Sub(o.now)
	if wait <= 0 {
		return step{do: doList}
	}
	if best.unit >= 0 && best.at.After(o.now) {
		wait = min(wait, best.at.Sub(o.now))
	}
	if !c.waiting {
		c.waiting = true
		c.publish()
	}
	return step{do: doWait, wait: wait}
}

// claim takes a unit and says so; c.mu is held.
func (c *Coordinator) claim(best choice, now time.Time) {
	c.held[best.unit] = Claim{Unit: best.unit, Attempt: best.attempt, Started: now}
	for u := range c.held {
		c.peak[u] = max(c.peak[u], len(c.held))
	}
	c.counts.speculative += number(best.speculative)
	c.waiting = false
	c.publish()
}

// confirm asks the ledger about a claimed unit right before it is handed out, and
// gives way to a node of better rank that claimed it meanwhile.
func (c *Coordinator) confirm(ctx context.Context, unit int, speculative bool) (bool, error) {
	done, err := c.ledger.Committed(ctx, unit)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && !done && !c.outranked(unit) {
		c.idle = time.Time{}
		return true, nil
	}
	c.release(unit)
	c.counts.speculative -= number(speculative)
	if err != nil {
		c.publish()
		return false, fmt.Errorf("ask whether unit %d is committed: %w", unit, err)
	}
	if !done {
		c.publish()
		return false, nil
	}
	c.truth.set(unit)
	c.stale = true // gossip missed a commit, and perhaps more of them
	c.publish(unit)
	return false, nil
}

// outranked reports whether a live node that goes before this one has claimed the
// unit just as early; c.mu is held.
func (c *Coordinator) outranked(unit int) bool {
	if !c.peers.State().claimed(unit, c.cfg.Node) {
		return false
	}
	o := c.observe(c.cfg.Now())
	me := o.nodes[0]
	mine := score(me.seed, unit, me.weight)
	for _, h := range o.held[unit] {
		n := o.nodes[h.node]
		if h.attempt >= c.held[unit].Attempt && before(score(n.seed, unit, n.weight), mine, n.id, me.id) {
			return true
		}
	}
	return false
}

// list asks the ledger about all units, and tells the fleet what it did not know.
func (c *Coordinator) list(ctx context.Context) error {
	before := c.peers.State()
	all, err := c.ledger.All(ctx)
	if err == nil && len(all) != c.cfg.Units {
		err = fmt.Errorf("%d units, want %d", len(all), c.cfg.Units)
	}
	if err != nil {
		return fmt.Errorf("list the committed units: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var news []int
	refuted := false
	for u, done := range all {
		switch {
		case done:
			c.truth.set(u)
			c.refuted[u>>3] &^= 1 << (u & 7)
			if !before.Done(u) {
				news = append(news, u)
			}
		case before.Done(u) && !c.truth.has(u):
			refuted = c.refuted.set(u) || refuted
		}
	}
	if refuted { // what the preference leaves out is open after all
		c.pref = newPreference(c.seed(c.cfg.Node), c.cfg.Units)
	}
	c.listed, c.stale = c.cfg.Now(), false
	if len(news) > 0 {
		c.peers.Publish(Delta{Done: news})
	}
	return nil
}

// Progress within a unit is news for people, who would otherwise see nothing of a long one, and the only measurement
// there is before the first commit. It is told seldom: the whole fleet together says it about once a second, however
// many nodes it has, and units that are shorter than advanceEvery say it never.
const (
	advanceEvery   = 5 * time.Second
	advanceANode   = time.Second
	leastToProject = 5 // percent of a unit after which its time is foreseen
)

// Advance says that a part, 0 to 1, of a unit in this node's hands is done. It may be called often.
func (c *Coordinator) Advance(unit int, part float64) {
	percent := int(100 * min(max(part, 0), 1))
	c.mu.Lock()
	defer c.mu.Unlock()
	claim, ok := c.held[unit]
	if !ok || claim.Percent == percent {
		return
	}
	claim.Percent = percent
	c.held[unit] = claim
	silent := c.cfg.Now().Sub(c.spoke)
	if silent >= advanceEvery && silent >= time.Duration(len(c.peers.Members()))*advanceANode {
		c.publish()
	}
}

// takes is the whole time of the claim's unit, by how far it is now; false at its beginning.
func (c Claim) takes(now time.Time) (time.Duration, bool) {
	if c.Percent < leastToProject {
		return 0, false
	}
	return seconds(now.Sub(c.Started).Seconds() * 100 / float64(c.Percent)), true
}

// firstUnit is how long the units in this node's hands take, by the one that is furthest; 0 while that cannot be said.
// c.mu is held.
func (c *Coordinator) firstUnit(now time.Time) time.Duration {
	furthest := Claim{}
	for _, claim := range c.held {
		if claim.Percent > furthest.Percent {
			furthest = claim
		}
	}
	whole, _ := furthest.takes(now)
	return max(0, whole)
}

// relist returns the time between listings while idle.
func (c *Config) relist(unit time.Duration) time.Duration {
	return min(max(unit/2, c.MinRelist), c.MaxRelist)
}
