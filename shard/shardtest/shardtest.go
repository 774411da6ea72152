package shardtest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/tap"
)

// Fill gives the values of rows. A nil function, or a Scalar that returns nil, leaves it to this package.
type Fill struct {
	Tokens func(row int64) int // length of a prompt
	// Positions are the kept ones of a prompt, where the plan's token rule depends on the data.
	Positions func(row int64) []int
	Scalar    func(column string, k shard.RowKey) any
	Vector    func(column string, k shard.RowKey, dst []float32)
}

// Keys are the rows of a unit of a plan: of each prompt the positions that the plan's token rule keeps.
func (f Fill) Keys(tb testing.TB, p run.Plan, u int) (keys []shard.RowKey) {
	tb.Helper()
	rule, err := tap.ParseRule(p.Tokens)
	if err != nil {
		tb.Fatal(err)
	}
	lo, hi := p.UnitRange(u)
	for row := lo; row < hi; row++ {
		n := int(row%7 + 1)
		if f.Tokens != nil {
			n = f.Tokens(row)
		}
		kept := rule.Positions(n)
		if rule.FromData() {
			kept = f.Positions(row)
		}
		for _, pos := range kept {
			keys = append(keys, shard.RowKey{Row: row, Pos: int32(pos), Tokens: int32(n)})
		}
	}
	return keys
}

// Blocks are rows with their values, as a Writer takes them.
func (f Fill) Blocks(s shard.Schema, keys []shard.RowKey) (blocks []*shard.Block) {
	for part := range slices.Chunk(keys, shard.RowGroupRows) {
		b := shard.NewBlock(s)
		b.Rows = len(part)
		for i, k := range part {
			f.row(b, s, i, k)
		}
		blocks = append(blocks, b)
	}
	return blocks
}

func (f Fill) row(b *shard.Block, s shard.Schema, i int, k shard.RowKey) {
	for c, column := range s.Scalars {
		setScalar(b.Scalars[c], i, f.scalar(column, k))
	}
	for c, v := range s.Vectors {
		x := make([]float32, v.Width)
		if f.Vector != nil {
			f.Vector(v.Name, k, x)
		} else {
			for j := range x {
				x[j] = float32((k.Row*31+int64(k.Pos)*7+int64(j)*5+int64(c))%97-48) / 8
			}
		}
		pack := shard.PackF16
		switch v.Dtype {
		case shard.I32:
			pack = shard.PackI32
		case shard.F32:
			pack = shard.PackF32
		}
		b.Stats[c].Merge(pack(b.Vectors[c][i*v.RowBytes():], x))
	}
}

func (f Fill) scalar(c shard.Scalar, k shard.RowKey) any {
	if f.Scalar != nil {
		if v := f.Scalar(c.Name, k); v != nil {
			return v
		}
	}
	id := (k.Row*31 + int64(k.Pos)*7) % 997
	switch c.Name {
	case "row":
		return k.Row
	case "pos":
		return k.Pos
	case "n_tokens":
		return k.Tokens
	case "token":
		return fmt.Sprint("t", id)
	}
	switch c.Type {
	case shard.Int64:
		return id
	case shard.Int32:
		return int32(id)
	case shard.Float32:
		return float32(id) / 8
	case shard.Float64:
		return float64(id) / 7
	case shard.Bool:
		return id%2 == 0
	}
	return fmt.Sprintf("%s %d", c.Name, id%9)
}

func setScalar(column any, i int, v any) {
	switch c := column.(type) {
	case []int64:
		c[i] = v.(int64)
	case []int32:
		c[i] = v.(int32)
	case []float32:
		c[i] = v.(float32)
	case []float64:
		c[i] = v.(float64)
	case []bool:
		c[i] = v.(bool)
	case []string:
		c[i] = v.(string)
	}
}

// Put commits a shard under a key.
func Put(tb testing.TB, st store.Store, key string, s shard.Schema, id shard.Identity, blocks []*shard.Block) {
	tb.Helper()
	pending, err := st.Create(context.Background(), key)
	if err != nil {
		tb.Fatal(err)
	}
	defer pending.Abort()
	w, err := shard.NewWriter(pending, s, id)
	if err != nil {
		tb.Fatal(err)
	}
	for _, b := range blocks {
		if err := w.WriteBlock(b); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	if err := pending.Commit(context.Background()); err != nil {
		tb.Fatal(err)
	}
}

// PutUnit commits a unit of a plan.
func (f Fill) PutUnit(tb testing.TB, st store.Store, p run.Plan, u int) {
	tb.Helper()
	Put(tb, st, run.UnitKey(u), p.Schema(), p.Identity(u), f.Blocks(p.Schema(), f.Keys(tb, p, u)))
}

// PutCodes commits what a coder made of a unit: a row for each of the unit's own, with the columns of s.
func (f Fill) PutCodes(tb testing.TB, st store.Store, p run.Plan, coder string, s shard.Schema, u int) {
	tb.Helper()
	Put(tb, st, run.CodesKey(coder, u), s, p.Identity(u), f.Blocks(s, f.Keys(tb, p, u)))
}

// PutRun puts a plan and all its units but those left out.
func (f Fill) PutRun(tb testing.TB, st store.Store, p run.Plan, without ...int) {
	tb.Helper()
	if _, err := run.CreatePlan(context.Background(), st, p); err != nil {
		tb.Fatal(err)
	}
	for u := range p.NumUnits() {
		if !slices.Contains(without, u) {
			f.PutUnit(tb, st, p, u)
		}
	}
}
