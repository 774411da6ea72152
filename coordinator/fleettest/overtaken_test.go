package fleettest

import (
	"testing"
	"time"

	"actfleet/coordinator"
)

// TestOvertakenNodesDropTheirUnit: whether gossip works or not, nobody finishes a unit long after somebody else has
// committed it, what is dropped counts for nobody, and slow nodes do not keep a complete run waiting.
func TestOvertakenNodesDropTheirUnit(t *testing.T) {
	const fast, slow = time.Minute, 20 * time.Minute
	for name, tc := range map[string]struct {
		mute   bool
		within time.Duration // after the last commit everybody is told that the run is complete
	}{
		"gossip":    {false, 2 * time.Second},
		"no gossip": {true, 2 * 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			overtaken := 0
			for seed := range uint64(5) {
				f := New(Scenario{Nodes: 5, Options: Options{Units: 40, Seed: seed}, UnitTime: func(node, _ int) time.Duration {
					if node == 0 {
						return slow
					}
					return fast
				}})
				f.Net.Mute(tc.mute)
				r := run(t, f)
				if last := f.Clock.Now().Sub(f.begin) - r.Makespan; last > tc.within || r.Complete != 5 {
					t.Errorf("seed %d: %d nodes knew that the run is complete, the last one after %v, want %v", seed, r.Complete, last, tc.within)
				}
				wantCounts(t, f, r)
				overtaken += r.Overtaken
			}
			t.Logf("%d units dropped", overtaken)
			if overtaken == 0 {
				t.Error("no node was overtaken")
			}
		})
	}
}

// wantCounts compares what the nodes say they did with the store: every start ended in a commit, a commit that came
// second, or a drop.
func wantCounts(t *testing.T, f *Fleet, r Report) {
	t.Helper()
	own, lost := 0, 0
	for i := range f.nodes {
		p := f.Coordinator(i).Progress()
		own, lost = own+p.Own, lost+p.Lost
		if f.Unit(i) >= 0 {
			t.Errorf("node %d still works on unit %d", i, f.Unit(i))
		}
	}
	if own != f.sc.Units || lost != f.Store.Lost() || own+lost+r.Overtaken != r.Starts {
		t.Errorf("%d units committed and %d late by what the nodes say, %d late in the store, %d dropped, %d started", own, lost, f.Store.Lost(), r.Overtaken, r.Starts)
	}
}

// TestOvertakenByAHint: a node does not drop a unit because gossip says that it is done.
func TestOvertakenByAHint(t *testing.T) {
	f := New(Scenario{Nodes: 1, Options: Options{Units: 3}})
	f.At(10*time.Second, func() { f.nodes[0].peer.Publish(coordinator.Delta{Done: []int{0, 1, 2}}) })
	r := run(t, f)
	if r.Overtaken != 0 || r.Starts != 3 || r.Makespan != 3*time.Minute {
		t.Errorf("%+v, want 3 units of a minute and nothing dropped", r)
	}
}
