package runtest

import (
	"context"
	"fmt"
	"testing"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/trainer/stream"
)

// Row is a prompt of the data set.
type Row struct {
	Tokens int // its length; the position of a kept token is below it
	Label  int32
	Group  string
	Split  string
	PYes   float32
}

// Run describes a run to write.
type Run struct {
	Rows    []Row
	Vectors []shard.Vector
	Tokens  string // "last" or "all"
	Units   int
	// Fill writes the vector of a column (index into Vectors) at a token.
	Fill func(column int, row int64, pos int32, dst []float32)
}

// Scalars is the schema's scalar columns.
func Scalars() []shard.Scalar {
	return append(shard.BaseScalars(), shard.Scalar{Name: "label", Type: shard.Int32}, shard.Scalar{Name: "group", Type: shard.String},
		shard.Scalar{Name: "split", Type: shard.String}, shard.Scalar{Name: "p_yes", Type: shard.Float32})
}

// Plan is the plan the run is written under.
func (r Run) Plan() run.Plan {
	p := run.Plan{Format: run.PlanFormat, Data: run.DataRef{Name: "made", Rows: int64(len(r.Rows))},
		Tokens: r.Tokens, Scalars: Scalars(), Vectors: r.Vectors}
	for u := range r.Units + 1 {
		p.Units = append(p.Units, int64(u*len(r.Rows)/r.Units))
	}
	return p
}

// Write commits every unit to a store and returns the run as a stream's source.
func (r Run) Write(tb testing.TB, st store.Store) stream.Source {
	tb.Helper()
	plan := r.Plan()
	if err := plan.Validate(); err != nil {
		tb.Fatal(err)
	}
	for u := range plan.NumUnits() {
		if err := r.writeUnit(st, plan, u); err != nil {
			tb.Fatal(err)
		}
	}
	return stream.Source{Store: st, Plan: plan}
}

func (r Run) writeUnit(st store.Store, plan run.Plan, u int) error {
	ctx := context.Background()
	out, err := st.Create(ctx, run.UnitKey(u))
	if err != nil {
		return err
	}
	defer out.Abort()
	w, err := shard.NewWriter(out, plan.Schema(), plan.Identity(u))
	if err != nil {
		return err
	}
	f := filler{run: r, w: w, block: shard.NewBlock(plan.Schema())}
	lo, hi := plan.UnitRange(u)
	for row := lo; row < hi; row++ {
		if err := f.prompt(row); err != nil {
			return err
		}
	}
	if err := f.flush(); err != nil {
		return err
	}
	if _, err := w.Close(); err != nil {
		return err
	}
	return out.Commit(ctx)
}

type filler struct {
	run   Run
	w     *shard.Writer
	block *shard.Block
}

func (f *filler) prompt(row int64) error {
	n := f.run.Rows[row].Tokens
	first := 0
	if f.run.Tokens == "last" {
		first = n - 1
	}
	for pos := first; pos < n; pos++ {
		f.token(row, int32(pos))
		if f.block.Rows == shard.RowGroupRows {
			if err := f.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *filler) token(row int64, pos int32) {
	b, i, r := f.block, f.block.Rows, f.run.Rows[row]
	id := int32((row*31 + int64(pos)*7) % 997)
	for c, v := range []any{row, pos, int32(r.Tokens), id, fmt.Sprint("t", id), r.Label, r.Group, r.Split, r.PYes} {
		switch col := b.Scalars[c].(type) {
		case []int64:
			col[i] = v.(int64)
		case []int32:
			col[i] = v.(int32)
		case []string:
			col[i] = v.(string)
		case []float32:
			col[i] = v.(float32)
		}
	}
	for c, v := range f.run.Vectors {
		x := make([]float32, v.Width)
		f.run.Fill(c, row, pos, x)
		pack := shard.PackF16
		if v.Dtype == shard.F32 {
			pack = shard.PackF32
		}
		b.Stats[c].Merge(pack(b.Vectors[c][i*v.RowBytes():], x))
	}
	b.Rows++
}

func (f *filler) flush() error {
	err := f.w.WriteBlock(f.block)
	f.block.Rows = 0
	clear(f.block.Stats)
	return err
}
