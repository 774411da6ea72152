package coordinator

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRanksAreAPermutation(t *testing.T) {
	weights := map[NodeID]float64{"a": 1, "b": 2, "c": 0.1, "d": 1}
	for u := range 200 {
		seen := map[int]bool{}
		for id := range weights {
			seen[Rank("plan", u, id, weights)] = true
		}
		if len(seen) != 4 || !seen[0] || !seen[3] {
			t.Fatalf("unit %d: ranks %v", u, seen)
		}
	}
}

// TestSharesFollowWeights: a node owns w/Σw of the units, within four standard
// deviations of a binomial.
func TestSharesFollowWeights(t *testing.T) {
	const units = 20000
	weights := map[NodeID]float64{"a": 1, "b": 2, "c": 4, "d": 0.5}
	owned := map[NodeID]int{}
	for u := range units {
		for id := range weights {
			if Rank("plan", u, id, weights) == 0 {
				owned[id]++
			}
		}
	}
	for id, w := range weights {
		p := w / 7.5
		if d := math.Abs(float64(owned[id]) - p*units); d > 4*math.Sqrt(units*p*(1-p)) {
			t.Errorf("%s owns %d of %d units, want %.0f", id, owned[id], units, p*units)
		}
	}
}

// TestOnlyTheLeaversUnitsMove is what makes the hash a rendezvous.
func TestOnlyTheLeaversUnitsMove(t *testing.T) {
	weights := map[NodeID]float64{"a": 1, "b": 2, "c": 3}
	without := map[NodeID]float64{"a": 1, "b": 2}
	for u := range 1000 {
		for id := range without {
			if Rank("plan", u, id, weights) == 0 && Rank("plan", u, id, without) != 0 {
				t.Fatalf("unit %d moved away from %s when c left", u, id)
			}
		}
	}
}

// TestLookRank compares the ranks the coordinator uses with the readable form: with
// all nodes idle they are the same.
func TestLookRank(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "nodes")
		weights := map[NodeID]float64{}
		o := &observation{}
		for i := range n {
			id := NodeID(fmt.Sprint("n", i))
			weights[id] = rapid.Float64Range(0.01, 10).Draw(t, "weight")
			o.nodes = append(o.nodes, peer{id: id, seed: nodeSeed("plan", id), weight: weights[id], free: true})
		}
		u := rapid.IntRange(0, 1000).Draw(t, "unit")
		want := Rank("plan", u, "n0", weights)
		if got := o.rank(u); got != want {
			t.Fatalf("rank %d, want %d", got, want)
		}
		if got := o.idleAhead(u); got != want {
			t.Fatalf("%d idle nodes ahead, want %d", got, want)
		}
		for i := range o.nodes {
			o.nodes[i].free = false
		}
		if got := o.rank(u); got != min(want, 1) {
			t.Fatalf("rank %d among busy nodes, want %d", got, min(want, 1))
		}
	})
}

func TestDeltaIsBounded(t *testing.T) {
	cfg := DefaultConfig()
	for _, tc := range []struct{ unit, want time.Duration }{
		{time.Second, 100 * time.Millisecond},
		{20 * time.Second, time.Second},
		{time.Hour, 2 * time.Second},
	} {
		if got := cfg.delta(tc.unit); got != tc.want {
			t.Errorf("δ for units of %v is %v, want %v", tc.unit, got, tc.want)
		}
	}
}
