package coordinator

import "time"

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
