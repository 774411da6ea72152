package coordinator

import (
	"context"
	"time"
)

// watch is what the coordinator remembers of a unit in this node's hands, to find out whether another node was first.
type watch struct {
	ask  time.Time // when the ledger is asked next, whatever gossip says
	told bool      // the ledger was asked because gossip calls the unit done
}

// Overtaken blocks until the ledger shows a unit committed that this node works on and has not committed itself, and
// then returns true: what is left of the work is in vain, and the caller should Drop the unit. It returns false when ctx
// ends, which must happen before the caller's own commit begins.
//
// Gossip only says when to ask. The ledger is asked as soon as somebody calls the unit done, once, and otherwise as
// often as an idle node lists it; when it gives no answer the node works on, since its commit will meet the same trouble.
func (c *Coordinator) Overtaken(ctx context.Context, unit int) bool {
	for ctx.Err() == nil {
		changed := c.peers.Changed()
		overtaken, wait := c.TryOvertaken(ctx, unit)
		if overtaken {
			return true
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-c.cfg.After(wait):
		}
	}
	return false
}

// TryOvertaken is Overtaken without waiting, for callers with a clock of their own: it reports whether another node was
// first, and if not, after which time to ask again, unless the peers signal a change before.
func (c *Coordinator) TryOvertaken(ctx context.Context, unit int) (overtaken bool, wait time.Duration) {
	if wait := c.untilAsked(unit); wait > 0 {
		return false, wait
	}
	done, err := c.ledger.Committed(ctx, unit)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && done {
		c.truth.set(unit)
		if !c.peers.Done(unit) {
			c.stale = true // gossip missed a commit, and perhaps more of them
			c.publish(unit)
		}
		return true, 0
	}
	now := c.cfg.Now()
	wait = c.cfg.relist(c.weigh(c.live(c.peers.State(), now))[0].expect)
	if w, ok := c.watched[unit]; ok {
		w.ask = now.Add(wait)
		c.watched[unit] = w
	}
	return false, wait
}

// untilAsked is how long the ledger need not be asked about a unit in this node's hands: no longer when gossip calls
// it done for the first time.
func (c *Coordinator) untilAsked(unit int) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.cfg.Now()
	w, ok := c.watched[unit]
	if !ok {
		return c.cfg.MaxRelist
	}
	if !w.told && c.peers.Done(unit) {
		w.told, w.ask = true, now
		c.watched[unit] = w
	}
	return max(0, w.ask.Sub(now))
}

// measureOvertaken learns from a unit that is given up because another node was first how long it would have taken: a
// node that is always overtaken must not pass for one that nobody has measured. c.mu is held.
func (c *Coordinator) measureOvertaken(claim Claim) {
	whole, known := claim.takes(c.cfg.Now())
	if known && c.truth.has(claim.Unit) {
		c.measure(claim.Unit, whole)
	}
}
