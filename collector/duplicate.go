package collector

import (
	"context"
	"errors"
	"fmt"

	"actfleet/shard"
	"actfleet/shard/store"
)

// ErrDiverged says that two nodes made different shards of one unit: they do not compute the same.
var ErrDiverged = errors.New("two nodes made different shards of one unit")

// sameAsCommitted compares a shard that lost the race with the one in the store, by rows, size and the
// exact statistics of every vector column: a single other bit in a vector shows in Σ‖x‖².
func sameAsCommitted(ctx context.Context, st store.Store, u int, ours shard.Footer) (err error) {
	key := shard.UnitKey(u)
	r, err := shard.Open(ctx, st, key)
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
