package coordinator

import "context"

// Ledger says which units are committed: the truth, where gossip is a hint. Both
// methods may be called from several goroutines. An answer must reflect every
// commit that ended before the call began.
type Ledger interface {
	// Committed reports whether one unit is committed.
	Committed(ctx context.Context, unit int) (bool, error)
	// All reports of every unit whether it is committed; the result has one entry
	// per unit.
	All(ctx context.Context) ([]bool, error)
}

// Peers is what gossip shows of the fleet. No method blocks on the network, and
// all may be called from several goroutines.
type Peers interface {
	// Members returns the nodes alive now, this one included.
	Members() []Member
	// Publish joins a delta into the state here and spreads it.
	Publish(Delta)
	// State returns a copy of the state.
	State() *State
	// Done reports whether somebody has said that a unit is committed, as State().Done would, which copies all.
	Done(unit int) bool
	// Changed returns a channel that is closed when the state or the membership
	// changes next. Take it before looking.
	Changed() <-chan struct{}
}

// solo is the fleet of one.
type solo struct {
	*SharedState
	self Member
}

// Alone returns the Peers of a fleet of one, without any network.
func Alone(node NodeID, host, plan string, units int) Peers {
	return &solo{SharedState: NewSharedState(plan, units), self: Member{Node: node, Host: host}}
}

// Members returns this node only.
func (s *solo) Members() []Member { return []Member{s.self} }

// Publish remembers the delta.
func (s *solo) Publish(d Delta) { s.Apply(d) }
