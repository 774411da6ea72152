package collector

import (
	"context"
	"errors"
	"fmt"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
)

// Ledger is a run's committed units, as the coordinator asks for them.
type Ledger struct {
	Store store.Store
	Plan  run.Plan
}

// Committed says whether one unit's shard is in the store.
func (l Ledger) Committed(ctx context.Context, unit int) (bool, error) {
	o, err := l.Store.Open(ctx, run.UnitKey(unit))
	if errors.Is(err, store.ErrNotFound) {
		gone := run.Gone(ctx, l.Store, l.Plan, unit)
		if errors.Is(gone, run.ErrGone) {
			return true, nil
		}
		return false, gone
	}
	if err != nil {
		return false, fmt.Errorf("look for unit %d: %w", unit, err)
	}
	return true, o.Close()
}

// All lists the run once and says of every unit whether it is committed.
func (l Ledger) All(ctx context.Context) ([]bool, error) {
	return run.Committed(ctx, l.Store, l.Plan)
}

// ErrDiverged says that two nodes made different shards of one unit: they do not compute the same.
var ErrDiverged = errors.New("two nodes made different shards of one unit")

// compare is nil if a shard that came second is the committed one again. Otherwise the error names the SHA-256 of
// both, and this node's lies in the run for somebody to find out which of the two is wrong.
func (c *collection) compare(ctx context.Context, u int, ours shard.Footer) error {
	found := sameAsCommitted(ctx, c.cfg.Store, c.cfg.Plan, u, ours)
	if !errors.Is(found, ErrDiverged) {
		return found
	}
	sums, err := c.keep(ctx, u)
	if err != nil {
		return fmt.Errorf("%w; and this node's could not be kept: %w", found, err)
	}
	return fmt.Errorf("%w; %s", found, sums)
}

// keep computes a unit once more, since what came second is gone, and keeps it beside the committed one. It says what
// that shows: the SHA-256 of both, or that this node does not agree with itself.
func (c *collection) keep(ctx context.Context, u int) (string, error) {
	key := run.DivergedKey(u, c.cfg.Node)
	schema := c.cfg.Plan.Schema()
	count, err := c.units.groupCount()
	if err != nil {
		return "", err
	}
	finish, err := c.units.compute(ctx, task{unit: u, key: key, schema: schema, groups: newGroups(schema, count)})
	if err != nil {
		return "", err
	}
	f, err := put(ctx, u, finish)
	if err != nil {
		return "", err
	}
	err = sameAsCommitted(ctx, c.cfg.Store, c.cfg.Plan, u, f)
	if err == nil {
		const faulty = "computed again here it is as committed, so this machine makes errors"
		return faulty, c.cfg.Store.Delete(ctx, key)
	}
	if !errors.Is(err, ErrDiverged) {
		return "", err
	}
	committed, err := run.CommittedDigest(ctx, c.cfg.Store, c.cfg.Plan, u)
	if err != nil {
		return "", err
	}
	here, err := run.Digest(ctx, c.cfg.Store, key)
	return fmt.Sprintf("SHA-256 %s as committed, %s here, kept as %s", committed, here, key), err
}

// sameAsCommitted compares a shard that lost the race with the one in the store, by rows, size and the
// exact statistics of every vector column: a single other bit in a vector shows in Σ‖x‖².
func sameAsCommitted(ctx context.Context, st store.Store, p run.Plan, u int, ours shard.Footer) (err error) {
	key := run.UnitKey(u)
	r, err := shard.Open(ctx, st, key)
	if p.Ring != nil && errors.Is(err, store.ErrNotFound) {
		return sameAsGone(ctx, st, u, ours)
	}
	if err != nil {
		return fmt.Errorf("compare with the committed %s: %w", key, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if r.NumRows() != ours.Rows {
		return fmt.Errorf("%w: %s has %d rows, this node's has %d", ErrDiverged, key, r.NumRows(), ours.Rows)
	}
	for i, v := range r.Schema().Vectors {
		if theirs := r.Stats(i); theirs != ours.Stats[i] {
			return fmt.Errorf("%w: %s of %s: Σ‖x‖² is %.17g as committed, %.17g here; the nodes need the same weights, libtorch and kind of processor",
				ErrDiverged, v.Name, key, theirs.SumSq, ours.Stats[i].SumSq)
		}
	}
	return nil
}

// late is an ErrExists if a unit that this node has just committed has a tombstone: then another node was first, every
// reader has read its shard, and this one goes the same way.
func (c *collection) late(ctx context.Context, u int) error {
	gone := run.Gone(ctx, c.cfg.Store, c.cfg.Plan, u)
	if !errors.Is(gone, run.ErrGone) {
		return gone
	}
	return errors.Join(fmt.Errorf("%w: %w", store.ErrExists, gone), c.cfg.Store.Delete(ctx, run.UnitKey(u)))
}

// sameAsGone compares a shard that lost the race with what a ring has kept of the committed one.
func sameAsGone(ctx context.Context, st store.Store, u int, ours shard.Footer) error {
	t, err := run.ReadTombstone(ctx, st, u)
	if err == nil && (t.Rows != ours.Rows || t.Size != ours.Size) {
		err = fmt.Errorf("%w: %s has had %d rows and %d bytes, this node's has %d and %d", ErrDiverged, t.Key, t.Rows, t.Size, ours.Rows, ours.Size)
	}
	return err
}
