package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"actfleet/coordinator"
)

// shelf is a Ledger of one process: it knows which units are committed.
type shelf []bool

func (s shelf) Committed(_ context.Context, unit int) (bool, error) { return s[unit], nil }

func (s shelf) All(context.Context) ([]bool, error) { return s, nil }

// commit reports whether the unit was not committed before.
func (s shelf) commit(unit int) (first bool) {
	first = !s[unit]
	s[unit] = true
	return first
}

// A fleet of one needs no network: it works until every unit is committed.
func ExampleNew() {
	ledger := shelf{false, true, false} // unit 1 was committed by an earlier process
	cfg := coordinator.DefaultConfig()
	cfg.Node, cfg.Units, cfg.PlanID = "me", len(ledger), "plan"
	c, err := coordinator.New(cfg, ledger, coordinator.Alone(cfg.Node, "host", cfg.PlanID, cfg.Units))
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
		first := ledger.commit(unit) // after the work
		c.Done(unit, time.Second, first)
	}
	p := c.Progress()
	fmt.Printf("%d of %d units committed, %d by this process\n", p.Done, p.Total, p.Own)
	// Output: 3 of 3 units committed, 2 by this process
}
