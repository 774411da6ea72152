package rankstest

import (
	"errors"
	"sync"

	"actfleet/trainer/ranks"
)

// ErrGone is what the calls of a group return after a rank has left.
var ErrGone = errors.New("a rank is gone")

// group is where ranks meet: the last one to come does the work of a call.
type group struct {
	mu    sync.Mutex
	come  *sync.Cond
	here  []any // what every rank brings to the call under way
	n     int
	calls int
	gone  bool
	ends  bool
}

// Rank is one rank of a group.
type Rank struct {
	g    *group
	rank int

	// Leaving says that this rank will leave, which all know after its next AllReduce.
	Leaving bool
}

var _ ranks.Ranks = (*Rank)(nil)

// New makes a group.
func New(world int) (all []*Rank) {
	g := &group{here: make([]any, world)}
	g.come = sync.NewCond(&g.mu)
	for i := range world {
		all = append(all, &Rank{g: g, rank: i})
	}
	return all
}

// Rank is the number of the rank.
func (r *Rank) Rank() int { return r.rank }

// World is the number of ranks.
func (r *Rank) World() int { return len(r.g.here) }

// Leave makes the calls of all others fail.
func (r *Rank) Leave() {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	r.g.gone = true
	r.g.come.Broadcast()
}

// meet brings own and waits for all; the last one runs work on what all have brought.
func (r *Rank) meet(own any, work func(all []any)) error {
	g := r.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return ErrGone
	}
	g.here[r.rank] = own
	if g.n++; g.n == len(g.here) {
		work(g.here)
		g.n, g.calls = 0, g.calls+1
		g.come.Broadcast()
		return nil
	}
	for call := g.calls; g.calls == call; g.come.Wait() {
		if g.gone {
			return ErrGone
		}
	}
	return nil
}

type numbers struct {
	f32    [][]float32
	f64    []float64
	leaves bool
}

// AllReduce adds in the order of the ranks.
func (r *Rank) AllReduce(f32 [][]float32, f64 []float64) error {
	return r.meet(numbers{f32, f64, r.Leaving}, func(all []any) {
		first := all[0].(numbers)
		for _, other := range all[1:] {
			o := other.(numbers)
			for i := range first.f32 {
				for j, v := range o.f32[i] {
					first.f32[i][j] += v
				}
			}
			for i, v := range o.f64 {
				first.f64[i] += v
			}
		}
		for _, other := range all {
			o := other.(numbers)
			r.g.ends = r.g.ends || o.leaves
			for i := range first.f32 {
				copy(o.f32[i], first.f32[i])
			}
			copy(o.f64, first.f64)
		}
	})
}

// Broadcast copies the bytes of rank 0.
func (r *Rank) Broadcast(data []byte) error {
	return r.meet(data, func(all []any) {
		for _, other := range all[1:] {
			copy(other.([]byte), all[0].([]byte))
		}
	})
}

// Regrouping tells whether a rank has said that it leaves.
func (r *Rank) Regrouping() bool {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	return r.g.ends
}
