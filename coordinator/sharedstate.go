package coordinator

import "sync"

// SharedState is a State for several goroutines, which tells them of changes. It is
// what an implementation of Peers keeps its state on.
type SharedState struct {
	mu      sync.Mutex
	state   *State
	changed chan struct{}
}

// NewSharedState returns the empty state of a plan.
func NewSharedState(plan string, units int) *SharedState {
	return &SharedState{state: NewState(plan, units), changed: make(chan struct{})}
}

// State returns a copy of the state.
func (s *SharedState) State() *State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Clone()
}

// Done reports whether somebody has said that a unit is committed.
func (s *SharedState) Done(unit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Done(unit)
}

// Changed returns a channel that is closed at the next change. Take it before
// looking at the state, so that no change is missed.
func (s *SharedState) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Apply joins a delta and reports whether it was news.
func (s *SharedState) Apply(d Delta) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.state.Apply(d) {
		return false
	}
	s.signal()
	return true
}

// Merge joins a state and reports whether it was news; it fails for a state of
// another plan.
func (s *SharedState) Merge(o *State) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, err := s.state.Merge(o)
	if changed {
		s.signal()
	}
	return changed, err
}

// Encode returns the state as bytes; see State.Encode.
func (s *SharedState) Encode() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Encode()
}

// Touch tells the waiting ones that something outside the state changed, such as
// the membership.
func (s *SharedState) Touch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signal()
}

// signal wakes everybody; s.mu is held.
func (s *SharedState) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}
