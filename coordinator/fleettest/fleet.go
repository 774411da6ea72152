package fleettest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"actfleet/coordinator"
)

// Scenario describes a run of a simulated fleet.
type Scenario struct {
	// Options describe the network; Units must be set.
	Options
	// Nodes is how many nodes start, all at time 0.
	Nodes int
	// UnitTime says how long a node works on a unit. Default: one minute.
	UnitTime func(node, unit int) time.Duration
	// Skew, if set, says how far a node's clock is ahead of the true time, a while after the start.
	Skew func(node int, after time.Duration) time.Duration
	// Configure, if set, may change a node's configuration.
	Configure func(*coordinator.Config)
}

// Fleet is a simulated fleet.
type Fleet struct {
	sc    Scenario
	Clock *Clock
	Net   *Network
	Store *Store

	nodes    []*node
	begin    time.Time
	won      int
	report   Report
	err      error
	orphaned map[int]time.Time // units of crashed nodes, and since when
}

// Report says how a run went.
type Report struct {
	// Makespan is the time until the last unit was committed; Ideal is the work of
	// all units divided by the speed of all nodes that were started.
	Makespan, Ideal time.Duration
	// Starts counts units started; Duplicates those beyond one each.
	Starts, Duplicates int
	// Takeover is the longest time from a crash to the next start of the crashed
	// node's unit.
	Takeover time.Duration
	// Overtaken counts the units given up because another node was first.
	Overtaken int
	// Complete counts the nodes that were told that the run is complete.
	Complete int
	// Drops counts lost messages.
	Drops int
}

// node is one process.
type node struct {
	fleet *Fleet
	index int
	id    coordinator.NodeID
	peer  *Peer
	coord *coordinator.Coordinator

	dead, paused, complete bool

	unit   int // -1: none
	began  time.Time
	left   time.Duration // work still to do when it was paused
	due    time.Time     // when the unit is finished
	finish int           // counts plans to finish; older ones are void
	wake   int           // counts plans to look again; older ones are void
	lookAt time.Time     // when the plan is due; zero without one
	told   bool          // gossip was seen to call the unit done
}

// New makes a fleet whose nodes begin when Run is called.
func New(sc Scenario) *Fleet {
	if sc.UnitTime == nil {
		sc.UnitTime = func(int, int) time.Duration { return time.Minute }
	}
	if sc.Plan == "" {
		sc.Plan = fmt.Sprintf("plan-%d", sc.Seed)
	}
	f := &Fleet{sc: sc, Clock: NewClock(), Store: NewStore(sc.Units), orphaned: map[int]time.Time{}}
	f.begin = f.Clock.Now()
	f.Net = NewNetwork(f.Clock, sc.Options)
	for range sc.Nodes {
		f.Add()
	}
	return f
}

// ID returns the name of the i-th node.
func ID(i int) coordinator.NodeID { return coordinator.NodeID(fmt.Sprintf("node-%03d", i)) }

// Add starts one more node now and returns its index.
func (f *Fleet) Add() int {
	i := len(f.nodes)
	n := &node{fleet: f, index: i, id: ID(i), unit: -1}
	n.peer = f.Net.Join(n.id)
	cfg := coordinator.DefaultConfig()
	cfg.Node, cfg.Units, cfg.PlanID, cfg.Now = n.id, f.sc.Units, f.sc.Plan, f.clockOf(i)
	if f.sc.Configure != nil {
		f.sc.Configure(&cfg)
	}
	var err error
	if n.coord, err = coordinator.New(cfg, f.Store, n.peer); err != nil {
		f.err = err
	}
	n.peer.news = n.hear
	f.nodes = append(f.nodes, n)
	n.lookIn(0)
	return i
}

// clockOf is the time as node i has it.
func (f *Fleet) clockOf(i int) func() time.Time {
	if f.sc.Skew == nil {
		return f.Clock.Now
	}
	return func() time.Time {
		now := f.Clock.Now()
		return now.Add(f.sc.Skew(i, now.Sub(f.begin)))
	}
}

// At does something at a time after the start.
func (f *Fleet) At(d time.Duration, do func()) { f.Clock.Later(d, do) }

// Crash ends node i as kill -9 does.
func (f *Fleet) Crash(i int) {
	n := f.nodes[i]
	if n.dead {
		return
	}
	n.dead = true
	f.Net.Crash(n.id)
	if n.unit >= 0 {
		f.orphaned[n.unit] = f.Clock.Now()
	}
}

// Pause stops node i; its work and its messages stand still.
func (f *Fleet) Pause(i int) {
	n := f.nodes[i]
	if n.dead || n.paused {
		return
	}
	n.paused = true
	n.left = n.due.Sub(f.Clock.Now())
	n.finish++
	f.Net.Pause(n.id)
}

// Resume lets node i go on where it was.
func (f *Fleet) Resume(i int) {
	n := f.nodes[i]
	if n.dead || !n.paused {
		return
	}
	n.paused = false
	f.Net.Resume(n.id)
	if n.unit >= 0 {
		n.workFor(n.left)
		n.told = false
		n.watchIn(coalesce)
	} else {
		n.lookIn(0)
	}
}

// Leave lets node i drop its unit and leave the fleet.
func (f *Fleet) Leave(i int) {
	n := f.nodes[i]
	if n.dead {
		return
	}
	n.coord.Leave()
	n.dead = true
	f.Net.Leave(n.id)
}

// Unit returns the unit node i works on, -1 for none.
func (f *Fleet) Unit(i int) int { return f.nodes[i].unit }

// Coordinator returns node i's coordinator.
func (f *Fleet) Coordinator(i int) *coordinator.Coordinator { return f.nodes[i].coord }

// Run runs the fleet until every node alive knows that the run is complete. It
// fails when that has not happened at the limit, or nothing is left to happen.
func (f *Fleet) Run(limit time.Duration) (Report, error) {
	begin := f.begin
	for f.err == nil && !f.over() {
		if !f.Clock.Step() || f.Clock.Now().Sub(begin) > limit {
			missing := f.Store.Missing()
			return f.report, fmt.Errorf("not complete after %v: %d units are missing, such as %v", f.Clock.Now().Sub(begin), len(missing), missing[:min(len(missing), 10)])
		}
	}
	f.Net.Close()
	f.report.Ideal = f.ideal()
	f.report.Duplicates = f.report.Starts - f.sc.Units
	f.report.Drops = f.Net.Drops()
	return f.report, f.err
}

func (f *Fleet) over() bool {
	for _, n := range f.nodes {
		if !n.dead && !n.complete {
			return false
		}
	}
	return true
}

// ideal is the time all nodes together need for all units, shared perfectly.
func (f *Fleet) ideal() time.Duration {
	rate := 0.0 // runs per second
	for i := range f.nodes {
		sum := 0.0
		for u := range f.sc.Units {
			sum += f.sc.UnitTime(i, u).Seconds()
		}
		rate += 1 / sum
	}
	return time.Duration(float64(time.Second) / rate)
}

// coalesce is how long a node takes to wake up on news, so that a burst of messages
// costs it one look.
const coalesce = 20 * time.Millisecond

// lookIn plans to ask the coordinator, unless that is planned sooner.
func (n *node) lookIn(d time.Duration) {
	at := n.fleet.Clock.Now().Add(d)
	if n.unit >= 0 || !n.lookAt.IsZero() && !at.Before(n.lookAt) {
		return
	}
	n.lookAt = at
	n.wake++
	wake := n.wake
	n.fleet.Clock.Later(d, func() {
		if wake == n.wake {
			n.lookAt = time.Time{}
			n.look()
		}
	})
}

func (n *node) look() {
	if n.dead || n.paused || n.complete || n.unit >= 0 {
		return
	}
	turn, err := n.coord.Try(context.Background())
	switch {
	case errors.Is(err, coordinator.ErrComplete):
		n.complete = true
		n.fleet.report.Complete++
	case err != nil:
		n.fleet.err = err
	case turn.Start:
		n.begin(turn.Unit)
	default:
		n.lookIn(turn.Wait)
	}
}

func (n *node) begin(unit int) {
	f := n.fleet
	f.report.Starts++
	if since, ok := f.orphaned[unit]; ok {
		f.report.Takeover = max(f.report.Takeover, f.Clock.Now().Sub(since))
		delete(f.orphaned, unit)
	}
	n.unit, n.began, n.told = unit, f.Clock.Now(), false
	n.workFor(f.sc.UnitTime(n.index, unit))
	n.advance(n.finish, n.due.Sub(n.began))
	n.watchIn(0)
}

// hear is what a node does at news: an idle one looks for a unit, another whether its own is still to be done.
func (n *node) hear() {
	switch {
	case n.unit < 0:
		n.lookIn(coalesce)
	case !n.told && n.peer.Done(n.unit):
		n.told = true
		n.watchIn(coalesce)
	}
}

// watchIn plans to ask whether another node was first with the unit in hand.
func (n *node) watchIn(d time.Duration) {
	finish := n.finish
	n.fleet.Clock.Later(d, func() {
		if finish != n.finish || n.dead || n.unit < 0 {
			return
		}
		overtaken, wait := n.coord.TryOvertaken(context.Background(), n.unit)
		if overtaken {
			n.drop()
			return
		}
		n.watchIn(wait)
	})
}

func (n *node) drop() {
	n.fleet.report.Overtaken++
	n.coord.Drop(n.unit)
	n.finish++
	n.unit = -1
	n.look()
}

// advanceEvery is how often a node tells its coordinator how far it is.
const advanceEvery = 5 * time.Second

// advance says now and then how far the unit is that takes so long, until it is finished or the node paused.
func (n *node) advance(finish int, whole time.Duration) {
	n.fleet.Clock.Later(advanceEvery, func() {
		if finish != n.finish || n.dead || n.unit < 0 {
			return
		}
		n.coord.Advance(n.unit, float64(n.fleet.Clock.Now().Sub(n.began))/float64(whole))
		n.advance(finish, whole)
	})
}

func (n *node) workFor(d time.Duration) {
	n.finish++
	finish := n.finish
	n.due = n.fleet.Clock.Now().Add(d)
	n.fleet.Clock.Later(d, func() {
		if finish == n.finish && !n.dead {
			n.commit()
		}
	})
}

func (n *node) commit() {
	f := n.fleet
	won := f.Store.Commit(n.unit, n.id)
	if won {
		f.won++
	}
	if won && f.won == f.sc.Units {
		f.report.Makespan = f.Clock.Now().Sub(f.begin)
	}
	n.coord.Done(n.unit, f.Clock.Now().Sub(n.began), won)
	n.unit = -1
	n.look()
}
