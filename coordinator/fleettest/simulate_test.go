package fleettest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// large is a hundred uneven nodes with ten units each.
func large(seed uint64) *Fleet {
	return New(Scenario{Nodes: 100, Options: Options{Units: 1000, Seed: seed}, UnitTime: uneven(seed)})
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
	r := run(t, large(1))
	t.Logf("makespan/ideal %.3f, %d duplicates of 1000, %d messages lost", ratio(r), r.Duplicates, r.Drops)
	if ratio(r) > 1.35 || r.Duplicates > 30 {
		t.Errorf("%+v", r)
	}
	r = run(t, withCrashes(large(1), 1))
	t.Logf("with crashes: makespan/ideal %.3f, %d duplicates of 1000, takeover %v", ratio(r), r.Duplicates, r.Takeover)
	if ratio(r) > 1.6 || r.Duplicates > 100 {
		t.Errorf("%+v", r)
	}
}

func BenchmarkFleet(b *testing.B) {
	for _, crashes := range []bool{false, true} {
		b.Run(fmt.Sprintf("nodes=100/units=1000/crashes=%v", crashes), func(b *testing.B) {
			seed, ratios, dups := uint64(0), 0.0, 0
			for b.Loop() {
				seed++
				f := large(seed)
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
