package stream

import (
	"errors"
	"fmt"
	"slices"

	"actfleet/shard/run"
)

// checkRing refuses what cannot read a ring, and notes that one is read: once, if Epochs says so, or again and again, as
// the rows of a first span that the reader has not acknowledged.
func (c *Config) checkRing(runs []Source) error {
	for _, r := range runs {
		switch {
		case r.Plan.Ring == nil:
			continue
		case len(runs) > 1:
			return fmt.Errorf("%s is a ring: it is read alone, not with other runs", r.Store)
		case c.Wait == nil:
			return fmt.Errorf("%s is a ring: its shards are deleted once they are read; read it with train --follow --reader NAME, while it is collected", r.Store)
		}
		c.once = c.Epochs == 1
	}
	return nil
}

// closeBefore closes the units of a ring that stand before a span, so that a deleted shard's bytes are free. No window of
// them is in use any more.
func (s *Stream) closeBefore(span int) error {
	if !s.cfg.once {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	s.opened = slices.DeleteFunc(s.opened, func(p *part) bool {
		past := p.place/s.spanUnits() < span
		if past {
			errs = append(errs, p.Close())
			*p = part{place: p.place, run: p.run, number: p.number}
		}
		return past
	})
	return errors.Join(errs...)
}

// tallyOthers counts the rows of a group that are not among the kept ones.
func tallyOthers(rows int, kept []int32, prompts []int64, pos []int32) (t run.Tally) {
	for r := range rows {
		if len(kept) > 0 && int(kept[0]) == r {
			kept = kept[1:]
			continue
		}
		t.Add(prompts[r], pos[r])
	}
	return t
}

// merge adds the tallies of units to others.
func merge(into, from map[int]run.Tally) map[int]run.Tally {
	if into == nil && len(from) > 0 {
		into = map[int]run.Tally{}
	}
	for u, t := range from {
		sum := into[u]
		sum.Merge(t)
		into[u] = sum
	}
	return into
}
