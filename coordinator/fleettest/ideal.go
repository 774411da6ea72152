package fleettest

import (
	"container/heap"
	"time"
)

// List returns the time a list schedule takes, the yardstick of a fleet: the units in
// the order of the plan, each started by the node that is free first, with nothing
// spent on coordination. A node in deaths ends at that time, and its unit is free again
// at that moment.
func (sc Scenario) List(deaths map[int]time.Duration) time.Duration {
	l := &list{sc: sc, deaths: deaths}
	for i := range sc.Nodes {
		l.free = append(l.free, ready{node: i})
	}
	for len(l.free) > 0 {
		l.assign(heap.Pop(&l.free).(ready))
	}
	return l.end
}

// list is a list schedule being made.
type list struct {
	sc     Scenario
	deaths map[int]time.Duration
	next   int     // unit
	orphan []ready // units of dead nodes, and since when they are free again
	free   readies // nodes
	idle   []ready // nodes that found nothing to do
	end    time.Duration
}

// assign gives a node its next unit.
func (l *list) assign(n ready) {
	unit, at := l.next, n.at
	switch {
	case l.next < l.sc.Units:
		l.next++
	case len(l.orphan) > 0:
		unit, at = l.orphan[0].node, max(at, l.orphan[0].at)
		l.orphan = l.orphan[1:]
	default:
		l.idle = append(l.idle, n)
		return
	}
	end := at + l.sc.UnitTime(n.node, unit)
	death, dies := l.deaths[n.node]
	if !dies || end <= death {
		l.end = max(l.end, end)
		heap.Push(&l.free, ready{node: n.node, at: end})
		return
	}
	l.orphan = append(l.orphan, ready{node: unit, at: max(at, death)})
	for _, other := range l.idle {
		heap.Push(&l.free, other)
	}
	l.idle = nil
}

// ready is a node or a unit, and since when it is free.
type ready struct {
	node int
	at   time.Duration
}

// readies is a heap by time.
type readies []ready

func (r readies) Len() int      { return len(r) }
func (r readies) Swap(i, j int) { r[i], r[j] = r[j], r[i] }
func (r readies) Less(i, j int) bool {
	return r[i].at < r[j].at || r[i].at == r[j].at && r[i].node < r[j].node
}

// Push adds one; for package heap.
func (r *readies) Push(x any) { *r = append(*r, x.(ready)) }

// Pop takes the last; for package heap.
func (r *readies) Pop() any {
	old := *r
	x := old[len(old)-1]
	*r = old[:len(old)-1]
	return x
}
