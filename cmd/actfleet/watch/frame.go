package watch

import (
	"context"
	"errors"
	"slices"
	"time"

	"actfleet/coordinator"
)

// Mark is the state of a unit.
type Mark uint8

// The marks, in the order in which they hide each other in a cell of several units. Part is a cell some of whose units
// are done and the others open.
const (
	Open Mark = iota
	Part
	Done
	Claimed
	Spare
)

// Frame is what is known of a run at a moment.
type Frame struct {
	// Name is the run or the address of its fleet.
	Name string
	// At is when the Frame was made.
	At time.Time
	// Progress sums it up; without gossip it has no nodes.
	coordinator.Progress
	// Units holds a mark for every unit.
	Units []Mark
}

// Source makes the Frame of this moment. ErrOver says that there will be no other.
type Source func(context.Context) (Frame, error)

// ErrOver ends a watch.
var ErrOver = errors.New("nobody is left to ask")

// complete reports whether nothing is left to do.
func (f Frame) complete() bool { return f.Done == f.Total }

// count is how many units have a mark.
func (f Frame) count(m Mark) int {
	n := 0
	for _, u := range f.Units {
		if u == m {
			n++
		}
	}
	return n
}

// FromState marks the units as gossip tells: the claims of live nodes, and what is done.
func FromState(name string, s *coordinator.State, members []coordinator.Member, now time.Time) Frame {
	f := Frame{Name: name, At: now, Progress: coordinator.Summarize(s, members, "", now), Units: make([]Mark, s.Units())}
	for _, n := range f.Nodes {
		if n.Live {
			f.claim(n.Claims)
		}
	}
	for u := range f.Units {
		if s.Done(u) {
			f.Units[u] = Done
		}
	}
	return f
}

func (f Frame) claim(claims []coordinator.Claim) {
	for _, c := range claims {
		switch {
		case c.Unit >= len(f.Units):
		case f.Units[c.Unit] == Claimed:
			f.Units[c.Unit] = Spare
		case f.Units[c.Unit] == Open:
			f.Units[c.Unit] = Claimed
		}
	}
}

// Listing makes Frames of a run whose committed units can be listed, without its fleet: the rate is that of the
// commits seen in the last minute.
type Listing struct {
	Name string
	List func(context.Context) ([]bool, error)
	Now  func() time.Time

	seen []sample
}

// sample is how many units were done at a time.
type sample struct {
	at   time.Time
	done int
}

// rateWindow is how far back the rate looks: over several units, yet soon at the new speed when a node joins.
const rateWindow = time.Minute

// Frame lists the run.
func (l *Listing) Frame(ctx context.Context) (Frame, error) {
	done, err := l.List(ctx)
	if err != nil {
		return Frame{}, err
	}
	f := Frame{Name: l.Name, At: l.Now(), Progress: coordinator.Progress{Total: len(done), ETA: -1}, Units: make([]Mark, len(done))}
	for u, is := range done {
		if is {
			f.Units[u] = Done
			f.Done++
		}
	}
	l.rate(&f)
	return f, nil
}

// rate fills in rate and ETA from the listings of the last minute.
func (l *Listing) rate(f *Frame) {
	l.seen = append(l.seen, sample{f.At, f.Done})
	for len(l.seen) > 2 && f.At.Sub(l.seen[1].at) >= rateWindow {
		l.seen = l.seen[1:]
	}
	if took := f.At.Sub(l.seen[0].at).Seconds(); took > 0 {
		f.Throughput = float64(f.Done-l.seen[0].done) / took
	}
	switch {
	case f.complete():
		f.ETA = 0
	case f.Throughput > 0:
		f.ETA = time.Duration(float64(f.Total-f.Done) / f.Throughput * float64(time.Second))
	}
}

// AllLeft reports whether every node said that it goes.
func (f Frame) AllLeft() bool {
	return !slices.ContainsFunc(f.Nodes, func(n coordinator.NodeProgress) bool { return !n.Left })
}
