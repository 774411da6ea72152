package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"actfleet/coordinator"
	"actfleet/coordinator/fleettest"
)

// A fleet of one needs no network.
func Example() {
	const units = 3
	store := fleettest.NewStore(units)
	cfg := coordinator.DefaultConfig()
	cfg.Node, cfg.Units, cfg.Salt = "me", units, "plan"
	c, err := coordinator.New(cfg, store, coordinator.Alone("me", "host", "plan", units))
	if err != nil {
		fmt.Println(err)
		return
	}
	for {
		unit, err := c.Next(context.Background())
		if errors.Is(err, coordinator.ErrComplete) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		won := store.Commit(unit, "me") // after the work
		c.Done(unit, time.Second, won)
	}
	fmt.Println(c.Progress().Done, "units committed")
	// Output: 3 units committed
}
