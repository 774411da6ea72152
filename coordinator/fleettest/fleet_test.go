package fleettest

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"actfleet/coordinator"
)

// uneven gives each unit a size of 0.7 to 1.4 minutes and each node a speed of 0.5
// to 2, both fixed by the seed.
func uneven(seed uint64) func(node, unit int) time.Duration {
	pick := func(kind, i int, lo, hi float64) float64 {
		r := rand.New(rand.NewPCG(seed, uint64(kind)<<32|uint64(i)))
		return lo * math.Pow(hi/lo, r.Float64())
	}
	return func(node, unit int) time.Duration {
		return time.Duration(float64(time.Minute) * pick(1, unit, 0.7, 1.4) / pick(2, node, 0.5, 2))
	}
}

func run(t testing.TB, f *Fleet) Report {
	t.Helper()
	r, err := f.Run(1000 * time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if m := f.Store.Missing(); len(m) > 0 {
		t.Fatalf("complete without units %v", m)
	}
	return r
}

func ratio(r Report) float64 { return float64(r.Makespan) / float64(r.Ideal) }

func TestQuietFleet(t *testing.T) {
	for _, tc := range []struct {
		name     string
		sc       Scenario
		maxRatio float64
		maxDup   int
	}{
		{"one", Scenario{Nodes: 1, Options: Options{Units: 40}}, 1.001, 0},
		{"three", Scenario{Nodes: 3, Options: Options{Units: 60}}, 1.15, 0},
		{"eight, uneven", Scenario{Nodes: 8, Options: Options{Units: 400}, UnitTime: uneven(3)}, 1.08, 8},
		{"more nodes than units", Scenario{Nodes: 10, Options: Options{Units: 4}}, 3, 1},
		{"lossy", Scenario{Nodes: 8, Options: Options{Units: 400, Loss: 0.3}}, 1.1, 8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for seed := range uint64(5) {
				tc.sc.Seed = seed
				r := run(t, New(tc.sc))
				t.Logf("ratio %.3f, %d duplicates, makespan %v", ratio(r), r.Duplicates, r.Makespan)
				if ratio(r) > tc.maxRatio || r.Duplicates > tc.maxDup {
					t.Errorf("seed %d: ratio %.3f, %d duplicates", seed, ratio(r), r.Duplicates)
				}
				if r.Complete != tc.sc.Nodes {
					t.Errorf("%d nodes know it is complete", r.Complete)
				}
			}
		})
	}
}

func TestSameSeedSameRun(t *testing.T) {
	once := func() (Report, []coordinator.NodeID) {
		f := New(Scenario{Nodes: 6, Options: Options{Units: 100, Seed: 9, Loss: 0.2}, UnitTime: uneven(9)})
		f.At(5*time.Minute, func() { f.Crash(2) })
		return run(t, f), f.Store.Owners()
	}
	a, owners := once()
	b, again := once()
	if a != b {
		t.Errorf("%+v\n%+v", a, b)
	}
	for u := range owners {
		if owners[u] != again[u] {
			t.Errorf("unit %d: %s, then %s", u, owners[u], again[u])
		}
	}
}

func TestLostGossip(t *testing.T) {
	for name, mute := range map[string]func(*Fleet){
		"from the start": func(f *Fleet) { f.Net.Mute(true) },
		"in the middle":  func(f *Fleet) { f.At(20*time.Minute, func() { f.Net.Mute(true) }) },
		"and members gone": func(f *Fleet) {
			var each [][]coordinator.NodeID
			for i := range f.nodes {
				each = append(each, []coordinator.NodeID{ID(i)})
			}
			f.Net.Partition(each...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := New(Scenario{Nodes: 8, Options: Options{Units: 400}, UnitTime: uneven(1)})
			mute(f)
			r := run(t, f)
			t.Logf("ratio %.3f, %d duplicates of 400", ratio(r), r.Duplicates)
			if r.Duplicates > 60 {
				t.Errorf("%d duplicates", r.Duplicates)
			}
		})
	}
}

func TestLateReturn(t *testing.T) {
	f := New(Scenario{Nodes: 3, Options: Options{Units: 60}})
	f.At(90*time.Second, func() { f.Pause(1) })
	f.At(10*time.Minute, func() { f.Resume(1) })
	r := run(t, f)
	t.Logf("ratio %.3f, %d duplicates, %d lost commits", ratio(r), r.Duplicates, f.Store.Lost())
	if r.Duplicates > 3 || r.Complete != 3 {
		t.Errorf("%+v", r)
	}
}

func TestHungNodeIsOvertaken(t *testing.T) {
	f := New(Scenario{Nodes: 4, Options: Options{Units: 40}, UnitTime: func(node, unit int) time.Duration {
		if node == 2 {
			return 1000 * time.Hour // alive for gossip, but never ready
		}
		return time.Minute
	}})
	f.At(3*time.Hour, func() { f.Crash(2) }) // so that the run ends for everybody
	r := run(t, f)
	t.Logf("makespan %v, %d duplicates", r.Makespan, r.Duplicates)
	if r.Makespan > 30*time.Minute || r.Duplicates > 3 {
		t.Errorf("%+v", r)
	}
}

func TestCrashesAreTakenOver(t *testing.T) {
	f := New(Scenario{Nodes: 3, Options: Options{Units: 30, Latency: 30 * time.Millisecond, PushPull: time.Second, Detect: 1500 * time.Millisecond},
		UnitTime: func(int, int) time.Duration { return time.Second }})
	f.At(3500*time.Millisecond, func() { f.Crash(1) })
	r := run(t, f)
	t.Logf("takeover %v, ratio to two nodes %.3f, %d duplicates", r.Takeover, ratio(r)*2/3, r.Duplicates)
	if r.Duplicates > 1 {
		t.Errorf("%+v", r)
	}
}

func TestJoinAndLeave(t *testing.T) {
	f := New(Scenario{Nodes: 2, Options: Options{Units: 100}})
	f.At(10*time.Minute, func() { f.Add() })
	f.At(20*time.Minute+30*time.Second, func() { f.Leave(0) })
	r := run(t, f)
	if r.Duplicates > 2 {
		t.Errorf("%+v", r)
	}
}

// TestDuplicatesAreFew bounds the work done twice in runs of 200 units: 2 % (what
// may be spent on slow nodes at the end) and a collision in a quiet fleet, 10 % when
// nodes crash and pause.
func TestDuplicatesAreFew(t *testing.T) {
	const units = 200
	quiet, rough := 0, 0
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 1))
		nodes := 3 + r.IntN(8)
		sc := Scenario{Nodes: nodes, Options: Options{Units: units, Seed: seed}, UnitTime: uneven(seed)}
		calm := run(t, New(sc))
		f := New(sc)
		for i := 1; i < nodes; i += 2 {
			at := time.Duration(r.Int64N(int64(30 * time.Minute)))
			f.At(at, func() { f.Pause(i) })
			if r.IntN(2) == 0 {
				f.At(at, func() { f.Crash(i) })
			}
			f.At(at+time.Duration(r.Int64N(int64(10*time.Minute))), func() { f.Resume(i) })
		}
		storm := run(t, f)
		if calm.Duplicates > units/50+1 || storm.Duplicates > units/10 {
			t.Errorf("seed %d, %d nodes: %d duplicates quiet, %d rough", seed, nodes, calm.Duplicates, storm.Duplicates)
		}
		quiet, rough = max(quiet, calm.Duplicates), max(rough, storm.Duplicates)
	}
	t.Logf("at most %d duplicates of %d in a quiet fleet, %d in a rough one", quiet, units, rough)
}

// TestFaults is the promise of the package coordinator: whatever happens, the run
// ends, every unit is committed, and little work is done twice.
func TestFaults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := rapid.IntRange(1, 9).Draw(t, "nodes")
		units := rapid.IntRange(0, 150).Draw(t, "units")
		seed := rapid.Uint64().Draw(t, "seed")
		loss := rapid.SampledFrom([]float64{0, 0, 0.1, 0.5, 1}).Draw(t, "loss")
		f := New(Scenario{Nodes: nodes, Options: Options{Units: units, Seed: seed, Loss: loss}, UnitTime: uneven(seed)})
		faults := rapid.IntRange(0, 6).Draw(t, "faults")
		for range faults {
			drawFault(t, f, nodes)
		}
		r, err := f.Run(1000 * time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if m := f.Store.Missing(); len(m) > 0 {
			t.Fatalf("missing %v", m)
		}
		limit := 2 + 2*faults*nodes + units/10
		if loss > 0 { // each node may miss one claim before the next push/pull brings it
			limit += nodes
		}
		if loss < 0.5 && r.Duplicates > limit {
			t.Fatalf("%d duplicates of %d units with %d faults on %d nodes", r.Duplicates, units, faults, nodes)
		}
	})
}

// drawFault plans one fault; node 0 is never ended, so that somebody is left.
func drawFault(t *rapid.T, f *Fleet, nodes int) {
	at := time.Duration(rapid.IntRange(0, 3600).Draw(t, "at")) * time.Second
	lasts := time.Duration(rapid.IntRange(1, 1200).Draw(t, "lasts")) * time.Second
	i := rapid.IntRange(0, nodes-1).Draw(t, "node")
	switch rapid.SampledFrom([]string{"crash", "pause", "leave", "add", "partition", "mute"}).Draw(t, "fault") {
	case "crash":
		if i > 0 {
			f.At(at, func() { f.Crash(i) })
		}
	case "pause":
		f.At(at, func() { f.Pause(i) })
		f.At(at+lasts, func() { f.Resume(i) })
	case "leave":
		if i > 0 {
			f.At(at, func() { f.Leave(i) })
		}
	case "add":
		f.At(at, func() { f.Add() })
	case "partition":
		f.At(at, func() { f.Net.Partition([]coordinator.NodeID{ID(0), ID(i)}) })
		f.At(at+lasts, func() { f.Net.Heal() })
	case "mute":
		f.At(at, func() { f.Net.Mute(true) })
		f.At(at+lasts, func() { f.Net.Mute(false) })
	}
}
