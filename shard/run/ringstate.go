package run

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"actfleet/shard/store"
)

// RingState is what the store of a ring showed at one moment. Nothing in it is undone later: an acknowledgement and a
// tombstone stay, so that what it allows is allowed for ever.
type RingState struct {
	plan  Plan
	there []bool
	gone  []bool
	acks  map[string][]bool
	ended map[string]bool
}

// LookRing lists a ring: first the shards, then what was put about them, so that a unit that is in neither list was not
// committed when the first one began.
func LookRing(ctx context.Context, st store.Store, p Plan) (*RingState, error) {
	s := &RingState{plan: p, acks: map[string][]bool{}, ended: map[string]bool{}}
	var err error
	if s.there, err = Readable(ctx, st, p); err != nil {
		return nil, err
	}
	if s.gone = make([]bool, p.NumUnits()); p.Ring == nil {
		return s, nil
	}
	for _, r := range p.Ring.Readers {
		s.acks[r] = make([]bool, p.NumUnits())
	}
	infos, err := st.List(ctx, ringPrefix)
	for _, info := range infos {
		s.note(info.Key)
	}
	return s, err
}

// note takes in a key of the ring; Check names those that mean nothing.
func (s *RingState) note(key string) bool {
	who, u, ok := parseRingKey(key)
	acks, reader := s.acks[who]
	switch {
	case !ok || u >= len(s.gone) || !reader && (who != goneDir || u < 0):
		return false
	case who == goneDir:
		s.gone[u] = true
	case u < 0:
		s.ended[who] = true
	default:
		acks[u] = true
	}
	return true
}

// committed tells whether a unit has, or had, a shard.
func (s *RingState) committed(u int) bool { return s.there[u] || s.gone[u] }

// Committed tells for each unit whether it has, or had, a shard.
func (s *RingState) Committed() []bool {
	done := make([]bool, len(s.gone))
	for u := range done {
		done[u] = s.committed(u)
	}
	return done
}

// Limit is the unit from which on none may be begun yet: the ring holds those of the plan's first Units units that are
// not gone.
func (s *RingState) Limit() int {
	free := s.plan.Ring.Units
	for u, gone := range s.gone {
		if !gone && free == 0 {
			return u
		}
		if !gone {
			free--
		}
	}
	return len(s.gone)
}

// Waits names a reader that a full ring waits for and the unit that it must read; false while the ring is not full, or
// holds the run's last unit.
func (s *RingState) Waits() (reader string, unit int, waits bool) {
	limit := s.Limit()
	if limit == len(s.gone) {
		return "", 0, false
	}
	for u := range limit {
		if !s.committed(u) {
			return "", 0, false
		}
	}
	for _, r := range s.plan.Ring.Readers {
		if at := s.progress(r); !s.ended[r] && (!waits || at < unit) {
			reader, unit, waits = r, at, true
		}
	}
	return reader, unit, waits
}

// progress is the unit after the last one that a reader has acknowledged.
func (s *RingState) progress(reader string) int {
	for u := len(s.gone) - 1; u >= 0; u-- {
		if s.acks[reader][u] {
			return u + 1
		}
	}
	return 0
}

// released tells whether a reader needs a unit no more.
func (s *RingState) released(reader string, u int) bool { return s.ended[reader] || s.acks[reader][u] }

// Acknowledged tells whether a reader has acknowledged a unit.
func (s *RingState) Acknowledged(reader string, u int) bool { return s.acks[reader][u] }

// Ended tells whether a reader needs no more.
func (s *RingState) Ended(reader string) bool { return s.ended[reader] }

// ErrGone says that a unit's shard was deleted because every reader of its ring had acknowledged it.
var ErrGone = errors.New("every reader has acknowledged it, and it is deleted")

// Gone is ErrGone for a unit of a ring that has a tombstone.
func Gone(ctx context.Context, st store.Store, p Plan, u int) error {
	if p.Ring == nil {
		return nil
	}
	o, err := st.Open(ctx, GoneKey(u))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("look for the tombstone of unit %d: %w", u, err)
	}
	return errors.Join(fmt.Errorf("unit %d of the ring %s: %w", u, strings.TrimSuffix(st.String(), "/"), ErrGone), o.Close())
}
