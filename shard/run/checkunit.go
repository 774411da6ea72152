package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"actfleet/internal/mapped"
	"actfleet/shard"
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
	c.rows(u, f.Keys)
	return nil
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
func (c *checker) rows(u int, keys []shard.RowKey) {
	slices.SortFunc(keys, func(a, b shard.RowKey) int { return cmp.Or(cmp.Compare(a.Row, b.Row), cmp.Compare(a.Pos, b.Pos)) })
	faults := c.faults(u, keys)
	for i, f := range faults {
		if i == maxDamage {
			c.damage(UnitKey(u), "and %d more such rows", len(faults)-i)
			break
		}
		c.damage(UnitKey(u), "%s", f)
	}
}

// faults compares the sorted keys of a unit with what the rule expects, data row by data row.
func (c *checker) faults(u int, keys []shard.RowKey) (faults []string) {
	lo, hi := c.plan.UnitRange(u)
	next := lo // the data row that must come now
	gap := func(to int64) {
		if to > next && len(c.rule.Positions(1)) > 0 { // otherwise a short prompt may have no position
			faults = append(faults, fmt.Sprintf("data rows %d to %d are not there", next, to-1))
		}
	}
	for len(keys) > 0 {
		row := keys[0].Row
		n := slices.IndexFunc(keys, func(p shard.RowKey) bool { return p.Row != row })
		if n < 0 {
			n = len(keys)
		}
		if row < lo || row >= hi {
			faults = append(faults, fmt.Sprintf("data row %d is outside of the unit's rows %d to %d", row, lo, hi-1))
		} else {
			gap(row)
			next = row + 1
			if f := c.rowFault(keys[:n]); f != "" {
				faults = append(faults, fmt.Sprintf("data row %d: %s", row, f))
			}
		}
		keys = keys[n:]
	}
	gap(hi)
	return faults
}

// rowFault compares the positions of one data row with the rule's.
func (c *checker) rowFault(keys []shard.RowKey) string {
	n := keys[0].Tokens
	if n < 1 || int64(n) > c.maxTokens() {
		return fmt.Sprintf("n_tokens is %d", n)
	}
	want := c.rule.Positions(int(n))
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
