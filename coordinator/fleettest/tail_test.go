package fleettest

import (
	"testing"
	"time"
)

// TestFewLongUnits: of two nodes and up to three long units none waits for a slow node when it could have done the
// slow one's unit sooner, and two equal nodes are not slowed down by it.
func TestFewLongUnits(t *testing.T) {
	const fast = 10 * time.Minute
	for _, tc := range []struct {
		name   string
		slower int // times, node 0 is
		most   []time.Duration
		dups   int
	}{
		{"equal nodes", 1, []time.Duration{fast, fast, 2 * fast}, 1},
		{"one five times slower", 5, []time.Duration{fast * 13 / 10, 2 * fast, 3 * fast}, 1},
		{"one hangs", 100_000, []time.Duration{fast * 3 / 2, 4 * fast, 5 * fast}, 1},
	} {
		for units, most := range tc.most {
			for seed := range uint64(6) {
				f := New(Scenario{Nodes: 2, Options: Options{Units: units + 1, Seed: seed}, UnitTime: func(node, _ int) time.Duration {
					if node == 0 {
						return time.Duration(tc.slower) * fast
					}
					return fast
				}})
				f.At(100*fast, func() { // so that the run ends for everybody
					if tc.slower > 100 {
						f.Crash(0)
					}
				})
				r := run(t, f)
				if r.Makespan > most+time.Minute || r.Duplicates > tc.dups {
					t.Errorf("%s, %d units, seed %d: %v, %d done twice; want at most %v", tc.name, units+1, seed, r.Makespan, r.Duplicates, most)
				}
			}
		}
	}
}
