package run

import (
	"context"
	"errors"
	"runtime"

	"golang.org/x/sync/errgroup"

	"actfleet/shard"
	"actfleet/shard/store"
)

// ReaderReport is what Check found of a reader of a ring.
type ReaderReport struct {
	Reader string `json:"reader"`
	Rows   int64  `json:"rows"`  // read for good, each exactly once
	Ended  bool   `json:"ended"` // it needs no more
}

// checkRing verifies what was put about the units of a ring; their shards, where they are, were read before.
func (c *checker) checkRing(ctx context.Context) error {
	infos, err := c.store.List(ctx, ringPrefix)
	if err != nil {
		return err
	}
	for _, info := range infos {
		if !c.ring.note(info.Key) {
			c.damage(info.Key, "belongs to no unit and no reader of the plan")
		}
	}
	if err := c.eachUnit(ctx, c.tombstone); err != nil {
		return err
	}
	if n := c.plan.Ring.Rows; len(c.report.Missing) == 0 && c.report.Rows != n {
		c.damage(KeyPlan, "says that the ring has %d rows, its shards and tombstones have %d", n, c.report.Rows)
	}
	for _, r := range c.plan.Ring.Readers {
		c.report.Readers = append(c.report.Readers, ReaderReport{Reader: r, Ended: c.ring.ended[r]})
	}
	if err := c.eachUnit(ctx, c.acknowledged); err != nil {
		return err
	}
	for i := range c.report.Readers {
		if err := c.ended(ctx, &c.report.Readers[i]); err != nil {
			return err
		}
	}
	return nil
}

// eachUnit calls check for every unit, several at a time: in a bucket each is a round trip or more.
func (c *checker) eachUnit(ctx context.Context, check func(ctx context.Context, u int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4 * runtime.GOMAXPROCS(0))
	for u := range c.tallies {
		g.Go(func() error { return check(ctx, u) })
	}
	return g.Wait()
}

// tombstone checks that of a unit that is gone; it counts for the shard.
func (c *checker) tombstone(ctx context.Context, u int) error {
	if !c.ring.gone[u] {
		return nil
	}
	t, err := ReadTombstone(ctx, c.store, u)
	if errors.Is(err, shard.ErrCorrupt) {
		c.damage(GoneKey(u), "%v", err)
		return nil
	}
	if err != nil {
		return err
	}
	if want, listed := c.manifest[t.Key]; listed && want != t.UnitFile {
		c.damage(GoneKey(u), "%d bytes, %d rows, SHA-256 %s; the manifest says %d, %d, %s", t.Size, t.Rows, t.SHA256, want.Size, want.Rows, want.SHA256)
	}
	for _, r := range c.plan.Ring.Readers {
		if !c.ring.released(r, u) {
			c.damage(UnitKey(u), "is gone, and reader %s has not acknowledged it", r)
		}
	}
	c.count(u, t)
	return nil
}

// count takes a tombstone for its shard, unless that is still there.
func (c *checker) count(u int, t Tombstone) {
	c.mu.Lock()
	there := c.tallies[u]
	c.report.Gone++
	if there == nil && !c.ring.there[u] {
		tally := t.Tally()
		c.tallies[u] = &tally
		c.report.Rows += t.Rows
	}
	c.mu.Unlock()
	if there != nil && *there != t.Tally() {
		c.damage(GoneKey(u), "is of %v, the shard that is still there has %v", t.Tally(), *there)
	}
}

// acknowledged compares what the readers acknowledged with the rows of the unit.
func (c *checker) acknowledged(ctx context.Context, u int) error {
	for i, r := range c.plan.Ring.Readers {
		if !c.ring.acks[r][u] {
			continue
		}
		a, err := readRing[Ack](ctx, c.store, AckKey(r, u))
		switch {
		case errors.Is(err, shard.ErrCorrupt):
			c.damage(AckKey(r, u), "%v", err)
		case err != nil:
			return err
		case a.Reader != r || a.Unit != u:
			c.damage(AckKey(r, u), "is of unit %d and reader %.80q", a.Unit, a.Reader)
		case c.tallies[u] == nil:
			c.damage(AckKey(r, u), "the unit has no sound shard")
		case a.Tally != *c.tallies[u]:
			c.damage(AckKey(r, u), "the reader read %v, the unit has %v: some rows were read twice or not at all", a.Tally, *c.tallies[u])
		default:
			c.mu.Lock()
			c.report.Readers[i].Rows += a.Rows
			c.mu.Unlock()
		}
	}
	return nil
}

// ended counts the rows of units that a reader had read in part when it ended.
func (c *checker) ended(ctx context.Context, r *ReaderReport) error {
	if !r.Ended {
		return nil
	}
	key := EndedKey(r.Reader)
	e, err := readRing[Ended](ctx, c.store, key)
	switch {
	case errors.Is(err, shard.ErrCorrupt), errors.Is(err, store.ErrNotFound):
		c.damage(key, "%v", err)
		return nil
	case err != nil:
		return err
	}
	for u, t := range e.Units {
		switch {
		case u < 0 || u >= len(c.tallies) || c.tallies[u] == nil:
			c.damage(key, "unit %d has no sound shard", u)
		case c.ring.acks[r.Reader][u]:
			c.damage(key, "unit %d was acknowledged as well", u)
		case t.Rows < 0 || t.Rows > c.tallies[u].Rows || t.Rows == c.tallies[u].Rows && t != *c.tallies[u]:
			c.damage(key, "the reader read %v of unit %d, which has %v", t, u, *c.tallies[u])
		default:
			r.Rows += t.Rows
		}
	}
	return nil
}
