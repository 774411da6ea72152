package fleettest

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

var table = flag.Bool("table", false, "simulate fleets of 10, 100 and 500 nodes with 100,000 units and print the table of docs/fleet.md (minutes)")

// spread is how long units take, in times of the middle one: minimum, deciles and maximum
// of 96 units of the shipped model on a machine that did other work, too.
var spread = []float64{0.633, 0.879, 0.916, 0.934, 0.965, 1, 1.02, 1.077, 1.117, 1.277, 3.746}

// middle is the middle unit time on a node of ordinary speed.
const middle = 30 * time.Second

// measured gives each unit a time drawn from the spread, and each node a speed of 0.8 to
// 1.25; of twenty nodes one takes five times as long.
func measured(seed uint64, nodes int) func(node, unit int) time.Duration {
	r := rand.New(rand.NewPCG(seed, 3))
	slowness := make([]float64, nodes)
	for i := range slowness {
		slowness[i] = math.Pow(1.25, 2*r.Float64()-1)
	}
	for _, i := range r.Perm(nodes)[:(nodes+10)/20] {
		slowness[i] *= 5
	}
	return func(node, unit int) time.Duration {
		x := rand.New(rand.NewPCG(seed, uint64(node)<<32|uint64(unit))).Float64() * float64(len(spread)-1)
		i := int(x)
		t := spread[i] + (x-float64(i))*(spread[i+1]-spread[i])
		return time.Duration(t * slowness[node] * float64(middle))
	}
}

// night is a fleet in which one node of twenty is slow and one of twenty dies.
func night(nodes, units int, seed uint64) (*Fleet, time.Duration) {
	sc := Scenario{Nodes: nodes, Options: Options{Units: units, Seed: seed}, UnitTime: measured(seed, nodes)}
	undisturbed := sc.List(nil)
	r := rand.New(rand.NewPCG(seed, 4))
	deaths := map[int]time.Duration{}
	f := New(sc)
	for _, i := range r.Perm(nodes)[:(nodes+10)/20] {
		deaths[i] = time.Duration(r.Int64N(int64(undisturbed)))
		f.At(deaths[i], func() { f.Crash(i) })
	}
	return f, sc.List(deaths)
}

// row simulates one line of the table.
func row(t *testing.T, nodes, units int, seed uint64) {
	t.Helper()
	began := time.Now()
	f, ideal := night(nodes, units, seed)
	r := run(t, f)
	ratio := float64(r.Makespan) / float64(ideal)
	twice := float64(r.Duplicates) / float64(units)
	seconds := r.Makespan.Seconds()
	traffic := f.Net.Traffic()
	t.Logf("| %d | %d | %s | %.3f | %.2f %% | %d | %.1f | %.1f | %.1f |", nodes, units, r.Makespan.Round(time.Second), ratio, 100*twice, r.Drops,
		float64(traffic.Messages)/seconds/1000, float64(traffic.States)/seconds/float64(nodes)/1000, time.Since(began).Seconds())
	if ratio > 1.05 || twice > 0.02 {
		t.Errorf("%d nodes, seed %d: %.3f of the list schedule, %.2f %% done twice", nodes, seed, ratio, 100*twice)
	}
}

// TestTable compares fleets with the list schedule.
func TestTable(t *testing.T) {
	t.Log("| nodes | units | makespan | of the list schedule | done twice | messages lost | messages, kB/s a node | states, kB/s a node | simulated in, s |")
	if !*table {
		row(t, 10, 2000, 1)
		row(t, 50, 5000, 1)
		return
	}
	for _, nodes := range []int{10, 100, 500} {
		t.Run(fmt.Sprint(nodes), func(t *testing.T) { row(t, nodes, 100_000, 1) })
	}
}
