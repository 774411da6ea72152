package shard

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"actfleet/shard/store"
)

// unit checks one shard. Errors of the kinds that mean damage are reported by the caller.
func (c *checker) unit(ctx context.Context, u int) error {
	key := UnitKey(u)
	o, err := c.store.Open(ctx, key)
	if err != nil {
		return err
	}
	defer o.Close()
	if err := c.hash(ctx, key, o); err != nil {
		return err
	}
	r, err := NewReader(o, o.Size())
	if err != nil {
		return err
	}
	if id := (Identity{PlanID: c.report.PlanID, Unit: u}); r.Identity() != id {
		return fmt.Errorf("%w: it says it is unit %d of plan %.12s", ErrCorrupt, r.Identity().Unit, r.Identity().PlanID)
	}
	if !c.plan.fits(r.Schema()) {
		return fmt.Errorf("%w: its columns are not those of the plan", ErrSchema)
	}
	c.addRows(r.NumRows())
	if want, ok := c.manifest[key]; ok && want.Rows != r.NumRows() {
		c.damage(key, "%d rows, the manifest says %d", r.NumRows(), want.Rows)
	}
	if err := c.vectors(ctx, key, r); err != nil {
		return err
	}
	return c.rows(ctx, u, r)
}

func (c *checker) addRows(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Rows += n
}

// hash compares size and SHA-256 with the manifest's. Without one there is nothing to compare, and nothing is hashed.
func (c *checker) hash(ctx context.Context, key string, o store.Object) error {
	want, ok := c.manifest[key]
	if !ok {
		c.advance(o.Size())
		return nil
	}
	if o.Size() != want.Size {
		c.damage(key, "%d bytes, the manifest says %d", o.Size(), want.Size)
	}
	sum, err := hashObject(ctx, o, c.advance)
	if err == nil && sum != want.SHA256 {
		c.damage(key, "SHA-256 is %s, the manifest says %s", sum, want.SHA256)
	}
	return err
}

// vectors measures every column and compares the statistics.
func (c *checker) vectors(ctx context.Context, key string, r *Reader) error {
	for col, v := range r.Schema().Vectors {
		var sum VectorStats
		for g := range r.NumGroups() {
			if err := ctx.Err(); err != nil {
				return err
			}
			s, err := measureGroup(r, g, col)
			if err != nil {
				return err
			}
			sum.Merge(s)
		}
		c.compareStats(key, v.Name, sum, r.Stats(col))
	}
	return nil
}

// measureGroup adds the rows of a row group in order, over its pages.
func measureGroup(r *Reader, g, col int) (VectorStats, error) {
	var sum VectorStats
	for page, err := range r.Pages(g, col) {
		if err != nil {
			return sum, err
		}
		measureInto(&sum, page, r.schema.Vectors[col])
	}
	return sum, nil
}

func (c *checker) compareStats(key, column string, found, footer VectorStats) {
	if found.NonFinite > 0 {
		c.damage(key, "column %s: %d values are not finite", column, found.NonFinite)
	}
	footer.NonFinite += footer.Overflow // in the file both are values that are not finite
	footer.Overflow = 0
	if found != footer {
		c.damage(key, "column %s: statistics of the values are %+v, the footer says %+v", column, found, footer)
	}
}

// place is the key of a row, with the prompt's length.
type place struct {
	row    int64
	pos, n int32
}

// rows checks that the token rule gave exactly the rows that are there.
func (c *checker) rows(ctx context.Context, u int, r *Reader) error {
	var places []place
	for g := range r.NumGroups() {
		if err := ctx.Err(); err != nil {
			return err
		}
		columns, err := r.Scalars(g, "row", "pos", "n_tokens")
		if err != nil {
			return err
		}
		pos, n := columns[1].([]int32), columns[2].([]int32)
		for i, row := range columns[0].([]int64) {
			places = append(places, place{row, pos[i], n[i]})
		}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(a.pos, b.pos)) })
	faults := c.faults(u, places)
	for i, f := range faults {
		if i == maxDamage {
			c.damage(UnitKey(u), "and %d more such rows", len(faults)-i)
			break
		}
		c.damage(UnitKey(u), "%s", f)
	}
	return nil
}

// faults compares the sorted places of a unit with what the rule expects, data row by data row.
func (c *checker) faults(u int, places []place) (faults []string) {
	lo, hi := c.plan.UnitRange(u)
	next := lo // the data row that must come now
	gap := func(to int64) {
		if to > next && len(c.rule.Positions(1)) > 0 { // otherwise a short prompt may have no position
			faults = append(faults, fmt.Sprintf("data rows %d to %d are not there", next, to-1))
		}
	}
	for len(places) > 0 {
		row := places[0].row
		n := slices.IndexFunc(places, func(p place) bool { return p.row != row })
		if n < 0 {
			n = len(places)
		}
		if row < lo || row >= hi {
			faults = append(faults, fmt.Sprintf("data row %d is outside of the unit's rows %d to %d", row, lo, hi-1))
		} else {
			gap(row)
			next = row + 1
			if f := c.rowFault(places[:n]); f != "" {
				faults = append(faults, fmt.Sprintf("data row %d: %s", row, f))
			}
		}
		places = places[n:]
	}
	gap(hi)
	return faults
}

// rowFault compares the positions of one data row with the rule's.
func (c *checker) rowFault(places []place) string {
	n := places[0].n
	if n < 1 || int64(n) > c.maxTokens() {
		return fmt.Sprintf("n_tokens is %d", n)
	}
	want := c.rule.Positions(int(n))
	for i, p := range places {
		switch {
		case p.n != n:
			return fmt.Sprintf("n_tokens is %d and %d", n, p.n)
		case i > 0 && p.pos == places[i-1].pos:
			return fmt.Sprintf("position %d is there twice", p.pos)
		case i >= len(want) || int(p.pos) != want[i]:
			return fmt.Sprintf("positions %s of %d tokens, rule %s expects %s", briefly(positions(places)), n, c.rule, briefly(want))
		}
	}
	if len(places) < len(want) {
		return fmt.Sprintf("%d positions of %d tokens, rule %s expects %d", len(places), n, c.rule, len(want))
	}
	return ""
}

func positions(places []place) []int {
	out := make([]int, len(places))
	for i, p := range places {
		out[i] = int(p.pos)
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
