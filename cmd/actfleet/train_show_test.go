package main

import (
	"testing"
	"time"

	"actfleet/trainer/coder"
)

// Eight coders of two seconds' own work each take sixteen on the wall, of which the first tenth is over.
func TestPaceCountsTheWall(t *testing.T) {
	at := time.Unix(0, 0)
	p := pace{now: func() time.Time { return at }, jobs: 8}
	event := func(step int) coder.Event {
		return coder.Event{Step: step, Total: 101, Seconds: 0.02 * float64(step)}
	}
	for _, dir := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		if _, ok := p.left(dir, event(1)); ok {
			t.Error("an estimate from one event")
		}
	}
	at = at.Add(1600 * time.Millisecond)
	var left time.Duration
	for _, dir := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		left, _ = p.left(dir, event(11))
	}
	if left.Round(time.Millisecond) != 14400*time.Millisecond {
		t.Errorf("%v left, want 14.4 s", left)
	}
}

// One that goes on from a checkpoint counts from there, and one that needs more steps is waited for.
func TestPaceOfUnequalTrainings(t *testing.T) {
	at := time.Unix(0, 0)
	p := pace{now: func() time.Time { return at }, jobs: 2}
	p.left("a", coder.Event{Step: 70, Total: 100, Seconds: 70})
	p.left("b", coder.Event{Step: 10, Total: 110, Seconds: 10})
	at = at.Add(20 * time.Second)
	p.left("a", coder.Event{Step: 80, Total: 100, Seconds: 80})
	left, _ := p.left("b", coder.Event{Step: 20, Total: 110, Seconds: 20})
	if left != 110*time.Second { // 20 + 90 steps of a second each
		t.Errorf("%v left", left)
	}
}
