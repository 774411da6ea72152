package fleettest

import (
	"context"
	"slices"
	"sync"

	"actfleet/coordinator"
)

// Store is a ledger in memory. The first Commit of a unit wins, as with a store's
// put-if-absent.
type Store struct {
	mu    sync.Mutex
	owner []coordinator.NodeID
	lost  int
}

var _ coordinator.Ledger = (*Store)(nil)

// NewStore returns a store in which nothing is committed.
func NewStore(units int) *Store { return &Store{owner: make([]coordinator.NodeID, units)} }

// Commit reports whether node was the first to commit the unit.
func (s *Store) Commit(unit int, node coordinator.NodeID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owner[unit] != "" {
		s.lost++
		return false
	}
	s.owner[unit] = node
	return true
}

// Committed reports whether a unit is committed.
func (s *Store) Committed(_ context.Context, unit int) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owner[unit] != "", nil
}

// All reports of every unit whether it is committed.
func (s *Store) All(context.Context) ([]bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]bool, len(s.owner))
	for u, o := range s.owner {
		out[u] = o != ""
	}
	return out, nil
}

// Missing returns the units nobody has committed.
func (s *Store) Missing() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []int
	for u, o := range s.owner {
		if o == "" {
			out = append(out, u)
		}
	}
	return out
}

// Lost counts the commits that came second.
func (s *Store) Lost() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// Owners returns who committed each unit; empty where nobody did.
func (s *Store) Owners() []coordinator.NodeID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.owner)
}
