package coordinator

import (
	"slices"
	"time"
)

// joinWait lets a node that joins wait, once, for the membership to be quiet (Config.Settle).
type joinWait struct {
	over    bool
	began   time.Time
	quiet   time.Time // since when the members are the same
	members []NodeID
}

// wait returns how long to wait still, 0 when the fleet has settled. It is over for
// good the first time: later changes are handled by the ranks.
func (s *joinWait) wait(cfg *Config, members []Member, now time.Time) time.Duration {
	if s.over {
		return 0
	}
	ids := make([]NodeID, 0, len(members))
	for _, m := range members {
		if !m.Observer {
			ids = append(ids, m.Node)
		}
	}
	slices.Sort(ids)
	if s.began.IsZero() {
		s.began = now
	}
	if !slices.Equal(ids, s.members) {
		s.members, s.quiet = ids, now
	}
	end := s.quiet.Add(cfg.Settle / 4)
	if last := s.began.Add(cfg.Settle); last.Before(end) {
		end = last
	}
	s.over = len(ids) <= 1 || !end.After(now)
	if s.over {
		return 0
	}
	return end.Sub(now)
}
