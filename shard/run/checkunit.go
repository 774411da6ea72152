package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"actfleet/internal/mapped"
	"actfleet/shard"
	"actfleet/shard/tap"
)

// unit checks one shard.
func (c *checker) unit(ctx context.Context, u int) error {
	key := UnitKey(u)
	o, err := c.store.Open(ctx, key)
	if err != nil {
		return err
	}
	defer o.Close()
	want, listed := c.manifest[key] // without a manifest there is nothing to compare, and nothing is hashed
	f, err := shard.CheckFile(ctx, o, shard.FileCheck{Identity: shard.Identity{PlanID: c.report.PlanID, Unit: u}, Fits: c.plan.Fits, Hash: listed, Progress: c.advance})
	if err != nil && (!shard.IsDamage(err) || errors.Is(err, mapped.ErrLost)) {
		return err
	}
	if listed && o.Size() != want.Size {
		c.damage(key, "%d bytes, the manifest says %d", o.Size(), want.Size)
	}
	if listed && f.SHA256 != want.SHA256 {
		c.damage(key, "SHA-256 is %s, the manifest says %s", f.SHA256, want.SHA256)
	}
	if err != nil {
		return err
	}
	if listed && want.Rows != f.Rows {
		c.damage(key, "%d rows, the manifest says %d", f.Rows, want.Rows)
	}
	for _, line := range f.Damage {
		c.damage(key, "%s", line)
	}
	c.addRows(u, f.Keys)
	return c.rows(u, f.Keys)
}

func (c *checker) addRows(u int, keys []shard.RowKey) {
	var t Tally
	for _, k := range keys {
		t.Add(k.Row, k.Pos)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Rows += t.Rows
	c.tallies[u] = &t
}

// rows checks that the token rule gave exactly the rows that are there.
func (c *checker) rows(u int, keys []shard.RowKey) error {
	slices.SortFunc(keys, func(a, b shard.RowKey) int { return cmp.Or(cmp.Compare(a.Row, b.Row), cmp.Compare(a.Pos, b.Pos)) })
	want, err := c.expected(u)
	if err != nil {
		return err
	}
	faults := c.faults(want, keys)
	for i, f := range faults {
		if i == maxDamage {
			c.damage(UnitKey(u), "and %d more such rows", len(faults)-i)
			break
		}
		c.damage(UnitKey(u), "%s", f)
	}
	return nil
}

// expected is the rows that a unit must have.
type expected struct {
	rule   tap.Rule
	lo, hi int64     // data rows
	kept   [][]int32 // of each the positions, where the rule depends on the data
}

func (c *checker) expected(u int) (e expected, err error) {
	e.rule = c.rule
	e.lo, e.hi = c.plan.UnitRange(u)
	if !e.rule.FromData() {
		return e, nil
	}
	if e.kept, err = c.positions(e.lo, e.hi); err == nil && int64(len(e.kept)) != e.hi-e.lo {
		err = fmt.Errorf("%d prompts for the data rows %d to %d", len(e.kept), e.lo, e.hi-1)
	}
	return e, err
}

// positions are those of a data row with n tokens.
func (e expected) positions(row int64, n int32) []int {
	if e.kept == nil {
		return e.rule.Positions(int(n))
	}
	var out []int
	for _, p := range e.kept[row-e.lo] {
		out = append(out, int(p))
	}
	return out
}

// mayLack says whether a data row, of a length that is not known, may have no position.
func (e expected) mayLack(row int64) bool {
	if e.kept == nil {
		return len(e.rule.Positions(1)) == 0 // a short prompt may have none
	}
	return len(e.kept[row-e.lo]) == 0
}

// absent describes the data rows from ≤ row < to, none of which is there, as far as they should be.
func (e expected) absent(from, to int64) (faults []string) {
	for from < to {
		end := from
		for end < to && !e.mayLack(end) {
			end++
		}
		if end > from {
			faults = append(faults, fmt.Sprintf("data rows %d to %d are not there", from, end-1))
		}
		from = end + 1
	}
	return faults
}

// faults compares the sorted keys of a unit with what is expected, data row by data row.
func (c *checker) faults(e expected, keys []shard.RowKey) (faults []string) {
	next := e.lo // the data row that must come now
	for len(keys) > 0 {
		row := keys[0].Row
		n := slices.IndexFunc(keys, func(p shard.RowKey) bool { return p.Row != row })
		if n < 0 {
			n = len(keys)
		}
		if row < e.lo || row >= e.hi {
			faults = append(faults, fmt.Sprintf("data row %d is outside of the unit's rows %d to %d", row, e.lo, e.hi-1))
		} else {
			faults = append(faults, e.absent(next, row)...)
			next = row + 1
			if f := c.rowFault(e, keys[:n]); f != "" {
				faults = append(faults, fmt.Sprintf("data row %d: %s", row, f))
			}
		}
		keys = keys[n:]
	}
	return append(faults, e.absent(next, e.hi)...)
}

// rowFault compares the positions of one data row with those expected.
func (c *checker) rowFault(e expected, keys []shard.RowKey) string {
	n := keys[0].Tokens
	if n < 1 || int64(n) > c.maxTokens() {
		return fmt.Sprintf("n_tokens is %d", n)
	}
	want := e.positions(keys[0].Row, n)
	for i, p := range keys {
		switch {
		case p.Tokens != n:
			return fmt.Sprintf("n_tokens is %d and %d", n, p.Tokens)
		case i > 0 && p.Pos == keys[i-1].Pos:
			return fmt.Sprintf("position %d is there twice", p.Pos)
		case i >= len(want) || int(p.Pos) != want[i]:
			return fmt.Sprintf("positions %s of %d tokens, rule %s expects %s", briefly(positions(keys)), n, c.rule, briefly(want))
		}
	}
	if len(keys) < len(want) {
		return fmt.Sprintf("%d positions of %d tokens, rule %s expects %d", len(keys), n, c.rule, len(want))
	}
	return ""
}

func positions(keys []shard.RowKey) []int {
	out := make([]int, len(keys))
	for i, p := range keys {
		out[i] = int(p.Pos)
	}
	return out
}

// briefly shows a list of positions.
func briefly(p []int) string {
	if len(p) > 8 {
		return fmt.Sprintf("%v… (%d)", p[:8], len(p))
	}
	return fmt.Sprint(p)
}

// maxTokens bounds what a shard may claim a prompt's length to be.
func (c *checker) maxTokens() int64 {
	const any = 1 << 24
	switch {
	case c.plan.MaxTokens > 0:
		return int64(c.plan.MaxTokens)
	case c.plan.Model.MaxPositions > 0:
		return int64(c.plan.Model.MaxPositions)
	}
	return any
}

func (c *checker) advance(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done += n
	if c.progress != nil {
		c.progress(c.done, c.report.Bytes)
	}
}
