package rendezvous

import (
	"errors"
	"fmt"
	"sync"

	"actfleet/coordinator"
)

// ErrGone means that a group is over because a rank was lost.
var ErrGone = errors.New("a rank is gone")

// Group is this node's rank in a group.
type Group struct {
	Rank, World int
	Wanted      int                  // ranks that there should be
	Nodes       []coordinator.NodeID // by rank
	Hosts       []string             // their machines' names

	place *Place
	up    *wire       // to rank 0, on all others
	down  []*follower // of rank 0: all others
	cards chan []byte
	work  sync.WaitGroup

	mu   sync.Mutex
	done int // followers that are done
	over bool
	why  error
	gone chan struct{}
	all  chan struct{} // closed when all ranks are done
}

func newGroup(p *Place, s start) *Group {
	return &Group{Rank: s.Rank, World: len(s.Nodes), Wanted: p.cfg.Ranks, Nodes: s.Nodes, Hosts: s.Hosts, place: p,
		cards: make(chan []byte, 16*len(s.Nodes)), gone: make(chan struct{}), all: make(chan struct{})}
}

// Tell gives a card to all other ranks.
func (g *Group) Tell(card []byte) error {
	if g.up != nil {
		return g.up.send(message{Card: card})
	}
	g.spread(nil, message{Card: card})
	return nil
}

// Cards are those of the other ranks. Who does not read them loses what does not fit.
func (g *Group) Cards() <-chan []byte { return g.cards }

// Gone is closed when a rank is lost; Why says which.
func (g *Group) Gone() <-chan struct{} { return g.gone }

// Why is nil, or ErrGone with the rank that was lost first.
func (g *Group) Why() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.why
}

// Waiting is how many nodes wait to be in the next group; of rank 0 only.
func (g *Group) Waiting() int {
	g.place.mu.Lock()
	defer g.place.mu.Unlock()
	return len(g.place.waiting)
}

// spread sends a message to all followers but one.
func (g *Group) spread(but *follower, m message) {
	for _, f := range g.down {
		if f != but && f.send(m) != nil {
			f.Close() // which its reader finds out
		}
	}
}

// hear takes what rank 0 says until it ends.
func (g *Group) hear() {
	for {
		m, err := g.up.receive(0)
		switch {
		case err != nil:
			g.lost(0, "")
			return
		case m.Card != nil:
			g.card(m.Card)
		case m.Gone != "":
			g.end(fmt.Errorf("%w: %s", ErrGone, m.Gone))
		case m.Bye != "":
			g.lost(0, m.Bye)
		case m.Done:
			g.finish()
		}
	}
}

// take takes what a follower says to rank 0.
func (g *Group) take(f *follower, m message) {
	switch {
	case m.Card != nil:
		g.card(m.Card)
		g.spread(f, m)
	case m.Bye != "":
		g.lost(f.rank, m.Bye)
	case m.Done && !f.done: // one that says so twice is one
		f.done = true
		g.mu.Lock()
		g.done++
		g.mu.Unlock()
		g.finishAll()
	}
}

func (g *Group) card(card []byte) {
	select {
	case g.cards <- card:
	default:
	}
}

// lost ends the group because of a rank; reason is what it said, "" if it vanished.
func (g *Group) lost(rank int, reason string) {
	text := fmt.Sprintf("rank %d (%s) vanished", rank, g.Nodes[rank])
	if reason != "" {
		text = fmt.Sprintf("rank %d (%s) left: %s", rank, g.Nodes[rank], reason)
	}
	if g.end(fmt.Errorf("%w: %s", ErrGone, text)) {
		g.spread(nil, message{Gone: text})
	}
}

// end ends the group once.
func (g *Group) end(why error) (first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return false
	}
	g.over, g.why = true, why
	close(g.gone)
	return true
}

// Done waits until no rank needs another one any more, or one is lost.
func (g *Group) Done() {
	if g.up != nil {
		if g.up.send(message{Done: true}) != nil {
			return
		}
	} else {
		g.mu.Lock()
		g.done++
		g.mu.Unlock()
		g.finishAll()
	}
	select {
	case <-g.all:
	case <-g.gone:
	}
}

// finishAll tells the followers when all are done.
func (g *Group) finishAll() {
	g.mu.Lock()
	done := g.done == g.World
	g.mu.Unlock()
	if done {
		g.spread(nil, message{Done: true})
		g.finish()
	}
}

func (g *Group) finish() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.over {
		g.over = true
		close(g.all)
	}
}

// Close leaves the group, with a reason for the others or without; then this node may gather again.
func (g *Group) Close(reason string) {
	g.mu.Lock()
	over := g.over
	g.over = true
	g.mu.Unlock()
	if reason != "" && !over {
		m := message{Bye: reason}
		if g.up != nil {
			_ = g.up.send(m) // a rank that does not hear it sees the connection end
		} else {
			g.spread(nil, m)
		}
	}
	if g.up != nil {
		g.up.Close()
	}
	for _, f := range g.down {
		f.Close()
	}
	g.work.Wait()
	g.place.follow("")
	g.place.mu.Lock()
	g.place.leading = false
	g.place.mu.Unlock()
}
