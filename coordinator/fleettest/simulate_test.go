package fleettest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// large is a hundred uneven nodes.
func large(units int, seed uint64) *Fleet {
	return New(Scenario{Nodes: 100, Options: Options{Units: units, Seed: seed}, UnitTime: uneven(seed)})
}

// withCrashes lets a tenth of the nodes crash in the first ten minutes.
func withCrashes(f *Fleet, seed uint64) *Fleet {
	r := rand.New(rand.NewPCG(seed, 7))
	for _, i := range r.Perm(len(f.nodes))[:len(f.nodes)/10] {
		f.At(time.Duration(r.Int64N(int64(10*time.Minute))), func() { f.Crash(i) })
	}
	return f
}

func TestHundredNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("a second of CPU")
	}
	const units = 400 // four each: a quick test, in which even a list schedule takes a third more than work by speed
	f := large(units, 1)
	r := run(t, f)
	list := float64(r.Makespan) / float64(f.sc.List(nil))
	t.Logf("makespan/list %.3f, makespan/ideal %.3f, %d duplicates of %d, %d messages lost", list, ratio(r), r.Duplicates, units, r.Drops)
	if list > 1.05 || r.Duplicates > units/25 {
		t.Errorf("%+v", r)
	}
	r = run(t, withCrashes(large(units, 1), 1))
	t.Logf("with crashes: makespan/ideal %.3f, %d duplicates of %d, takeover %v", ratio(r), r.Duplicates, units, r.Takeover)
	if ratio(r) > 1.7 || r.Duplicates > units/10 {
		t.Errorf("%+v", r)
	}
}

func BenchmarkFleet(b *testing.B) {
	for _, crashes := range []bool{false, true} {
		b.Run(fmt.Sprintf("nodes=100/units=1000/crashes=%v", crashes), func(b *testing.B) {
			seed, ratios, dups := uint64(0), 0.0, 0
			for b.Loop() {
				seed++
				f := large(1000, seed)
				if crashes {
					withCrashes(f, seed)
				}
				r := run(b, f)
				ratios += ratio(r)
				dups += r.Duplicates
			}
			b.ReportMetric(ratios/float64(b.N), "makespan/ideal")
			b.ReportMetric(float64(dups)/float64(b.N)/10, "%duplicates")
		})
	}
}
