package coordinator

import "sync"

// Board holds a State for several goroutines and tells them of changes. It is
// what an implementation of Peers keeps its state on.
type Board struct {
	mu      sync.Mutex
	state   *State
	changed chan struct{}
}

// NewBoard returns a board with an empty state of a plan.
func NewBoard(plan string, units int) *Board {
	return &Board{state: NewState(plan, units), changed: make(chan struct{})}
}

// State returns a copy of the state.
func (b *Board) State() *State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state.Clone()
}

// Changed returns a channel that is closed at the next change. Take it before
// looking at the state, so that no change is missed.
func (b *Board) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// Apply joins a delta and reports whether it was news.
func (b *Board) Apply(d Delta) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.state.Apply(d) {
		return false
	}
	b.signal()
	return true
}

// Merge joins a state and reports whether it was news; it fails for a state of
// another plan.
func (b *Board) Merge(o *State) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	changed, err := b.state.Merge(o)
	if changed {
		b.signal()
	}
	return changed, err
}

// Encode returns the state as bytes; see State.Encode.
func (b *Board) Encode() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state.Encode()
}

// Touch tells the waiting ones that something outside the state changed, such as
// the membership.
func (b *Board) Touch() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.signal()
}

// signal wakes everybody; b.mu is held.
func (b *Board) signal() {
	close(b.changed)
	b.changed = make(chan struct{})
}
