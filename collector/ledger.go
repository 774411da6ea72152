package collector

import (
	"context"
	"errors"
	"fmt"

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
		return false, nil
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
