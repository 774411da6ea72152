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
	want, listed := c.manifest[key] // without a manifest there is nothing to compare, and nothing is hashed
	p := newPassage(o, listed, c.advance)
	found := c.content(ctx, u, o, p)
	if found != nil && !isDamage(found) {
		return found
	}
	sum, err := p.sum(ctx)
	if err != nil {
		return err
	}
	if listed && o.Size() != want.Size {
		c.damage(key, "%d bytes, the manifest says %d", o.Size(), want.Size)
	}
	if listed && sum != want.SHA256 {
		c.damage(key, "SHA-256 is %s, the manifest says %s", sum, want.SHA256)
	}
	return found
}

// content checks what a shard says, reading it through p.
func (c *checker) content(ctx context.Context, u int, o store.Object, p *passage) error {
	key := UnitKey(u)
	r, err := NewReader(o, o.Size())
	if err != nil {
		return err
	}
	r.src, r.need = p, func(int64, int64) {} // the passage has read it
	if err := checkHead(p); err != nil {
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
	return c.groups(ctx, u, r, p)
}

func (c *checker) addRows(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Rows += n
}

// groups reads the row groups in the order of the file, compares the statistics of every column, and checks the rows.
func (c *checker) groups(ctx context.Context, u int, r *Reader, p *passage) error {
	sums := make([]VectorStats, len(r.Schema().Vectors))
	var places []place
	for g := range r.NumGroups() {
		var err error
		if places, err = appendPlaces(places, r, g); err != nil {
			return err
		}
		for col := range sums {
			if err := p.reach(ctx, r.chunkEnd(g, col)); err != nil {
				return err
			}
			s, err := measureGroup(r, g, col)
			if err != nil {
				return err
			}
			sums[col].Merge(s)
		}
	}
	for col, v := range r.Schema().Vectors {
		c.compareStats(UnitKey(u), v.Name, sums[col], r.Stats(col))
	}
	c.rows(u, places)
	return nil
}

// chunkEnd is where vector column col of row group g ends.
func (r *Reader) chunkEnd(g, col int) int64 {
	c := r.groups[g].chunks[len(r.schema.Scalars)+col]
	return c.start() + c.size
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

// appendPlaces adds those of a row group.
func appendPlaces(places []place, r *Reader, g int) ([]place, error) {
	columns, err := r.Scalars(g, "row", "pos", "n_tokens")
	if err != nil {
		return nil, err
	}
	pos, n := columns[1].([]int32), columns[2].([]int32)
	for i, row := range columns[0].([]int64) {
		places = append(places, place{row, pos[i], n[i]})
	}
	return places, nil
}

// rows checks that the token rule gave exactly the rows that are there.
func (c *checker) rows(u int, places []place) {
	slices.SortFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(a.pos, b.pos)) })
	faults := c.faults(u, places)
	for i, f := range faults {
		if i == maxDamage {
			c.damage(UnitKey(u), "and %d more such rows", len(faults)-i)
			break
		}
		c.damage(UnitKey(u), "%s", f)
	}
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
