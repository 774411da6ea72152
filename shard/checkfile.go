package shard

import (
	"context"
	"fmt"

	"actfleet/internal/mapped"
	"actfleet/shard/store"
)

// FileCheck is what CheckFile expects of a shard.
type FileCheck struct {
	Identity Identity
	// Fits tells whether a shard may have these columns.
	Fits func(Schema) bool
	// Hash asks for the SHA-256 of the file.
	Hash bool
	// Progress, if any, is told how many bytes were read since the last call.
	Progress func(n int64)
}

// FileReport is what CheckFile found.
type FileReport struct {
	Rows   int64
	Keys   []RowKey // of every row, in the order of the file
	SHA256 string   // "" unless asked for
	Damage []string // one line per fault in the values of a column
}

// RowKey is the key of a row, with the length of its prompt in tokens.
type RowKey struct {
	Row         int64
	Pos, Tokens int32
}

// CheckFile reads a shard once, from its beginning to its end, and verifies every page header, that every vector is
// finite, and that the statistics in the footer are those of the stored values, to the last bit. An error for which
// IsDamage holds is about the file; the rest of the file is hashed all the same, unless it is gone (mapped.ErrLost).
func CheckFile(ctx context.Context, o store.Object, want FileCheck) (f FileReport, err error) {
	defer mapped.Guard(&err)()
	p := newOnePass(o, want.Hash, want.Progress)
	found := f.read(ctx, o, p, want)
	if found != nil && !IsDamage(found) {
		return f, found
	}
	if f.SHA256, err = p.sum(ctx); err != nil {
		return f, err
	}
	return f, found
}

// read checks what a shard says, reading it through p.
func (f *FileReport) read(ctx context.Context, o store.Object, p *onePass, want FileCheck) error {
	r, err := NewReader(o, o.Size())
	if err != nil {
		return err
	}
	r.src, r.need = p, func(int64, int64) {} // p has read it
	if err := checkHead(p); err != nil {
		return err
	}
	if r.Identity() != want.Identity {
		return fmt.Errorf("%w: it says it is unit %d of plan %.12s", ErrCorrupt, r.Identity().Unit, r.Identity().PlanID)
	}
	if !want.Fits(r.Schema()) {
		return fmt.Errorf("%w: its columns are not those of the plan", ErrSchema)
	}
	f.Rows = r.NumRows()
	return f.groups(ctx, r, p)
}

// groups reads the row groups in the order of the file and compares the statistics of every column.
func (f *FileReport) groups(ctx context.Context, r *Reader, p *onePass) error {
	sums := make([]VectorStats, len(r.Schema().Vectors))
	for g := range r.NumGroups() {
		if err := f.keys(r, g); err != nil {
			return err
		}
		for col := range sums {
			c := r.groups[g].chunks[len(r.schema.Scalars)+col]
			if err := p.reach(ctx, c.start()+c.size); err != nil {
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
		f.compareStats(v.Name, sums[col], r.Stats(col))
	}
	return nil
}

// keys adds those of a row group.
func (f *FileReport) keys(r *Reader, g int) error {
	columns, err := r.Scalars(g, "row", "pos", "n_tokens")
	if err != nil {
		return err
	}
	pos, n := columns[1].([]int32), columns[2].([]int32)
	for i, row := range columns[0].([]int64) {
		f.Keys = append(f.Keys, RowKey{row, pos[i], n[i]})
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

func (f *FileReport) compareStats(column string, found, footer VectorStats) {
	if found.NonFinite > 0 {
		f.Damage = append(f.Damage, fmt.Sprintf("column %s: %d values are not finite", column, found.NonFinite))
	}
	footer.NonFinite += footer.Overflow // in the file both are values that are not finite
	footer.Overflow = 0
	if found != footer {
		f.Damage = append(f.Damage, fmt.Sprintf("column %s: statistics of the values are %+v, the footer says %+v", column, found, footer))
	}
}

// ObjectDigest is the SHA-256 of an object, in hex. It believes a store that knows the sum, which spares reading every byte
// of a run in a bucket.
func ObjectDigest(ctx context.Context, o store.Object) (sum string, err error) {
	defer mapped.Guard(&err)()
	if s, ok := o.(store.Summed); ok && s.SHA256() != "" {
		return s.SHA256(), nil
	}
	return newOnePass(o, true, nil).sum(ctx)
}
