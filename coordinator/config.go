package coordinator

import (
	"errors"
	"fmt"
	"time"
)

// Config says who this node is, what the run is and how patient to be. Start from
// DefaultConfig.
type Config struct {
	// Node is this process; see NewNodeID.
	Node NodeID
	// Host is the machine's name, shown to people.
	Host string
	// Started is when this process began; it orders the versions of a node that
	// comes again under its old name. Zero means the time of New.
	Started time.Time
	// Units is the number of units of the run.
	Units int
	// PlanID makes the owners of units differ from run to run, so
	// that the same node is not the unlucky one each time.
	PlanID string
	// Now and After are the clock; time.Now and time.After where nil.
	Now   func() time.Time
	After func(time.Duration) <-chan time.Time

	// Settle is how long a joining node waits at most for the membership to be quiet
	// before it takes its first unit; it stops waiting after a quarter of that
	// without a change, and does not wait when it is alone. Default 2 s: members of a
	// fleet started by one command appear within a second of each other. A longer
	// wait costs its time once; none costs a unit done twice per node.
	Settle time.Duration
	// ExpectedUnit is taken for the time of a unit until some node has measured one.
	// Default 30 s, the lower end of what units are cut for. Too small and the first
	// units are held late and duplicated; too large and a node that hangs on its very
	// first unit is noticed late.
	ExpectedUnit time.Duration
	// Delta is the δ by which ranks are staggered, as a fraction of the expected time
	// of a unit. Default 1/20: an idle node waits 5 % of a unit before it takes what
	// another one owns, and ten idle nodes are spread over half a unit.
	Delta float64
	// MinDelta and MaxDelta bound δ. Default 100 ms and 2 s: gossip brings a claim in
	// 30-100 ms with fast settings and 200-600 ms with slow ones. Less than
	// that and two nodes start the same unit, more is waiting for nothing.
	MinDelta, MaxDelta time.Duration
	// Late is the number of expected times after which a claimed unit counts as lost
	// although its node lives (paused, hung); three times as many for a node that has
	// not finished any unit yet. Default 3: units are cut to equal numbers of tokens,
	// so that a factor of 2 is rare; a needless second start costs one unit's work.
	Late float64
	// SpeculativeWork is the fraction of the run's units that may be started a second time
	// only because their node is slow (at least one unit). Default 0.02: the price in
	// work; the gain is up to one unit time of the slowest node at the end. Units that
	// are Late do not count.
	SpeculativeWork float64
	// MinRelist and MaxRelist bound the time between two listings of the ledger while
	// idle, which is half an expected unit. Default 1 s and 30 s. Without any gossip
	// this is how a node learns what others committed.
	MinRelist, MaxRelist time.Duration
}

// DefaultConfig returns the configuration for units of half a minute and more;
// Node, Units and PlanID are the caller's to fill in. It serves units of a second
// too, since all that matters adapts to measured times.
func DefaultConfig() Config {
	return Config{
		Now: time.Now, After: time.After,
		Settle: 2 * time.Second, ExpectedUnit: 30 * time.Second,
		Delta: 0.05, MinDelta: 100 * time.Millisecond, MaxDelta: 2 * time.Second,
		Late: 3, SpeculativeWork: 0.02,
		MinRelist: time.Second, MaxRelist: 30 * time.Second,
	}
}

// Validate reports every fault of the configuration at once.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("coordinator config: "+format, args...))
		}
	}
	check(c.Node != "" && len(c.Node) <= MaxNameLen, "node id %q: must have 1 to %d bytes", c.Node, MaxNameLen)
	check(ValidName(string(c.Node)), "node id %q: must be printable", c.Node)
	check(ValidName(c.Host), "host name %q: must be printable and have at most %d bytes", c.Host, MaxNameLen)
	check(ValidName(c.PlanID), "plan id %q: must be printable and have at most %d bytes", c.PlanID, MaxNameLen)
	check(c.Units >= 0 && c.Units <= maxWireUnits, "%d units: must be 0 to %d", c.Units, maxWireUnits)
	check(c.Settle >= 0, "settle %v: must not be negative", c.Settle)
	check(c.ExpectedUnit > 0, "expected unit time %v: must be positive", c.ExpectedUnit)
	check(c.Delta >= 0 && c.Delta <= 1, "delta %v: must be 0 to 1", c.Delta)
	check(c.MinDelta >= 0 && c.MinDelta <= c.MaxDelta, "delta bounds %v to %v", c.MinDelta, c.MaxDelta)
	check(c.Late >= 1, "late factor %v: must be at least 1", c.Late)
	check(c.SpeculativeWork >= 0 && c.SpeculativeWork <= 1, "speculative work %v: must be 0 to 1", c.SpeculativeWork)
	check(c.MinRelist > 0 && c.MinRelist <= c.MaxRelist, "relist bounds %v to %v", c.MinRelist, c.MaxRelist)
	return errors.Join(errs...)
}
