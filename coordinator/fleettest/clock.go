package fleettest

import (
	"container/heap"
	"time"
)

// Scheduler runs functions later: a Clock, or RealTime.
type Scheduler interface {
	Now() time.Time
	// Later runs f once, d from now.
	Later(d time.Duration, f func())
}

// RealTime is the Scheduler of the real clock; each function runs on a goroutine of
// its own. Inside a synctest bubble the time is the bubble's.
type RealTime struct{}

// Now returns the time.
func (RealTime) Now() time.Time { return time.Now() }

// Later runs f after d.
func (RealTime) Later(d time.Duration, f func()) { time.AfterFunc(d, f) }

// Clock is virtual time. It is not safe for concurrent use.
type Clock struct {
	now    time.Time
	events events
	seq    uint64
}

// NewClock returns a clock at a fixed time.
func NewClock() *Clock { return &Clock{now: time.Unix(1_700_000_000, 0)} }

// Now returns the virtual time.
func (c *Clock) Now() time.Time { return c.now }

// Later runs f at d from now; functions of the same time run in the order they were
// given.
func (c *Clock) Later(d time.Duration, f func()) {
	c.seq++
	heap.Push(&c.events, event{at: c.now.Add(max(0, d)), seq: c.seq, run: f})
}

// Step runs the next function and reports whether there was one.
func (c *Clock) Step() bool {
	if len(c.events) == 0 {
		return false
	}
	e := heap.Pop(&c.events).(event)
	c.now = e.at
	e.run()
	return true
}

type event struct {
	at  time.Time
	seq uint64
	run func()
}

// events is a heap by time, then by order of arrival.
type events []event

func (e events) Len() int      { return len(e) }
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e events) Less(i, j int) bool {
	if !e[i].at.Equal(e[j].at) {
		return e[i].at.Before(e[j].at)
	}
	return e[i].seq < e[j].seq
}

// Push adds an event; for package heap.
func (e *events) Push(x any) { *e = append(*e, x.(event)) }

// Pop takes the last event; for package heap.
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}
