package fleettest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"actfleet/coordinator"
)

// TestLargeFleets computes, from the sizes of real messages and states, what fleets too large to simulate send, beside
// what a node passes on: the table "larger fleets" of docs/fleet.md.
func TestLargeFleets(t *testing.T) {
	const units = 1_000_000
	for _, f := range []struct {
		nodes, unit int // seconds
		every       int // ms between two packets to each of four nodes
		fits        bool
	}{{500, 30, 200, false}, {500, 60, 200, true}, {1000, 150, 200, true}, {5000, 30, 200, false}, {5000, 700, 200, true}, {5000, 180, 50, true}} {
		board := coordinator.NewSharedState(largePlan, units)
		message := 0
		for i := range f.nodes {
			word := coordinator.Delta{Nodes: []coordinator.NodeState{largeNode(i)}}
			board.Apply(word)
			done := coordinator.Delta{Done: []int{rand.IntN(units)}}
			board.Apply(done)
			// A word when the unit is claimed, another when it is committed, and that it is done.
			message += 2*len(coordinator.EncodeDelta(largePlan, units, word)) + len(coordinator.EncodeDelta(largePlan, units, done))
		}
		message /= f.nodes
		repeats := retransmitMult * int(math.Ceil(math.Log10(float64(f.nodes+1))))
		rate := float64(f.nodes) / (float64(f.unit) * meanSpread())
		wants, has := rate*float64(message*repeats), 4*1400/(float64(f.every)/1000)
		swap := time.Duration(seldom(f.nodes)) * 5 * time.Second
		state := len(board.Encode())
		t.Logf("| %d | %d s | %d ms | %d | %.0f | %.0f | %d | %s | %.1f |", f.nodes, f.unit, f.every, message, wants/1000, has/1000, state/1000, swap, 2*float64(state)/swap.Seconds()/1000)
		if fits := wants < has; fits != f.fits {
			t.Errorf("%d nodes with units of %d s want %.0f B/s of %.0f: fits %v", f.nodes, f.unit, wants, has, fits)
		}
		if s := board.State(); len(s.Nodes()) != f.nodes {
			t.Errorf("the state remembers %d of %d nodes", len(s.Nodes()), f.nodes)
		}
	}
}

// largePlan is as long as the name of a plan in gossip.
const largePlan = "0123456789abcdef"

// largeNode has the names of a large machine room, and one unit in hand.
func largeNode(i int) coordinator.NodeState {
	host := fmt.Sprintf("gpu-%04d", i)
	now := time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC)
	return coordinator.NodeState{
		Node: coordinator.NodeID(host + "-12345-ab1c"), Host: host, Started: now, Beat: now.Add(time.Hour), Seq: 200,
		Speed: 0.03, UnitTime: 33 * time.Second, Done: 100, Claims: []coordinator.Claim{{Unit: i * 100, Attempt: 1, Started: now.Add(time.Hour)}},
	}
}

// meanSpread is the mean unit time, in times of the middle one.
func meanSpread() (mean float64) {
	for i := 1; i < len(spread); i++ {
		mean += (spread[i-1] + spread[i]) / 2 / float64(len(spread)-1)
	}
	return mean
}
