package run

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"actfleet/shard"
	"actfleet/shard/store"
	"actfleet/shard/tap"
)

// State is what a listing tells of a unit's shard.
type State int

// The states of a unit.
const (
	Missing State = iota // no object has its key
	Present              // an object of a possible size has its key
	Damaged              // an object has its key that cannot be its shard
	Deleted              // a ring's: every reader has read it
)

// Survey is what a listing of a run tells, sizes included. No shard is opened: Check does that.
type Survey struct {
	Units   []State  // of the plan
	Bytes   []int64  // size of each unit's object; 0 without one
	Damaged []string // one line for each damaged unit: key, size and what is wrong with it
	Stray   []string // keys that lie among the shards and belong to no unit of the plan
}

// Look lists a run and compares it with its plan and, if there is one, its manifest. A manifest that cannot be read, or
// of another plan, is one line of Damaged.
func Look(ctx context.Context, st store.Store, p Plan) (Survey, error) {
	m, err := ReadManifest(ctx, st)
	unusable := ""
	if errors.Is(err, shard.ErrCorrupt) {
		unusable, err = fmt.Sprintf("%s: %v", KeyManifest, err), nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Survey{}, err
	}
	if m.PlanID != "" && m.PlanID != p.ID() {
		unusable, m = fmt.Sprintf("%s: it belongs to plan %.12s, not %.12s", KeyManifest, m.PlanID, p.ID()), Manifest{}
	}
	infos, err := st.List(ctx, "acts/")
	if err != nil {
		return Survey{}, err
	}
	if p.Ring != nil {
		gone, err := st.List(ctx, GonePrefix)
		if err != nil {
			return Survey{}, err
		}
		infos = append(infos, gone...)
	}
	s := SurveyOf(p, m, infos)
	if unusable != "" {
		s.Damaged = append([]string{unusable}, s.Damaged...)
	}
	return s, nil
}

// SurveyOf is Look at objects that were listed before, with a manifest of this plan or an empty one.
func SurveyOf(p Plan, m Manifest, listed []store.Info) Survey {
	s := Survey{Units: make([]State, p.NumUnits()), Bytes: make([]int64, p.NumUnits())}
	sizes := map[string]int64{}
	for _, u := range m.Units {
		sizes[u.Key] = u.Size
	}
	rule, _ := tap.ParseRule(p.Tokens) // of a plan that was validated
	for _, info := range listed {
		if who, u, ok := parseRingKey(info.Key); ok && p.Ring != nil && who == goneDir && u >= 0 && u < len(s.Units) {
			if s.Units[u] == Missing {
				s.Units[u] = Deleted
			}
			continue
		}
		u, ok := ParseUnitKey(info.Key)
		if !ok || u >= len(s.Units) {
			s.Stray = append(s.Stray, info.Key)
			continue
		}
		s.Units[u], s.Bytes[u] = Present, info.Size
		least := p.leastBytes(u, rule)
		switch want, ok := sizes[info.Key]; {
		case ok && want != info.Size:
			s.damage(u, "%d bytes, the manifest says %d", info.Size, want)
		case info.Size < least:
			s.damage(u, "%d bytes, the shard of its unit has more than %d", info.Size, least)
		}
	}
	slices.Sort(s.Stray)
	return s
}

func (s *Survey) damage(u int, format string, args ...any) {
	s.Units[u] = Damaged
	s.Damaged = append(s.Damaged, UnitKey(u)+": "+fmt.Sprintf(format, args...))
}

// leastBytes bounds a shard of unit u from below: its vectors are not compressed, and of each prompt there are at least
// as many as of a prompt of one token.
func (p Plan) leastBytes(u int, rule tap.Rule) int64 {
	const frame = 12 // "PAR1" at both ends, and the footer's length
	row := int64(0)
	for _, v := range p.Vectors {
		row += int64(v.RowBytes())
	}
	lo, hi := p.UnitRange(u)
	return frame + min(hi-lo, 1<<28)*int64(len(rule.Positions(1)))*row // cannot overflow
}

// Count is how many units are in a state.
func (s Survey) Count(state State) (n int) {
	for _, u := range s.Units {
		if u == state {
			n++
		}
	}
	return n
}

// Done tells for each unit whether its shard is there, or was and is not needed any more.
func (s Survey) Done() []bool {
	done := make([]bool, len(s.Units))
	for u, state := range s.Units {
		done[u] = state == Present || state == Deleted
	}
	return done
}
