package fleettest

import (
	"testing"
	"time"
)

// TestClocks runs fleets whose clocks are wrong by an hour or jump by one, again and again, each node's at another time:
// the run takes hardly longer and little more is done twice than with true clocks. A jump here moves all times of a node; of a
// process it moves only those that others are told, since it measures its own with a clock that does not jump.
func TestClocks(t *testing.T) {
	for name, skew := range map[string]func(node int, after time.Duration) time.Duration{
		"apart": func(node int, _ time.Duration) time.Duration { return time.Duration(node%3-1) * time.Hour },
		"ahead": func(node int, after time.Duration) time.Duration { return jumped(after, 20+node) },
		"back":  func(node int, after time.Duration) time.Duration { return -jumped(after, 20+node) },
		"to and fro": func(node int, after time.Duration) time.Duration {
			return time.Hour * ((after/(4*time.Minute) + time.Duration(node)) % 2)
		},
		"one of eight": func(node int, after time.Duration) time.Duration {
			return time.Duration(node/7) * time.Hour * ((after / (4 * time.Minute)) % 2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(5) {
				right, wrong := clocked(t, seed, nil), clocked(t, seed, skew)
				t.Logf("makespan %v, %d done twice; with true clocks %v, %d", wrong.Makespan, wrong.Duplicates, right.Makespan, right.Duplicates)
				if wrong.Makespan > right.Makespan*21/20 || wrong.Duplicates > right.Duplicates+4 {
					t.Errorf("seed %d: %+v, with true clocks %+v", seed, wrong, right)
				}
			}
		})
	}
}

// jumped is an hour from some minute on.
func jumped(after time.Duration, minute int) time.Duration {
	if after < time.Duration(minute)*time.Minute {
		return 0
	}
	return time.Hour
}

// clocked is a run of eight nodes, one of which crashes and one of which is paused for ten minutes.
func clocked(t *testing.T, seed uint64, skew func(int, time.Duration) time.Duration) Report {
	f := New(Scenario{Nodes: 8, Options: Options{Units: 400, Seed: seed}, UnitTime: uneven(seed), Skew: skew})
	f.At(15*time.Minute, func() { f.Pause(5) })
	f.At(25*time.Minute, func() { f.Resume(5); f.Crash(3) })
	return run(t, f)
}
