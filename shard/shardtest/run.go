package shardtest

import (
	"testing"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
)

// Row is a prompt of a Run.
type Row struct {
	Tokens int // its length; the position of a kept token is below it
	Label  int32
	Group  string
	Split  string
	PYes   float32
}

// Run is a small run with labels, groups and splits, as probes and coders read it.
type Run struct {
	Rows    []Row
	Vectors []shard.Vector
	Tokens  string // the token rule: last, all, …
	Units   int    // the rows are shared out evenly
	Ring    *run.Ring
	// Fill writes the vector of a column (index into Vectors) at a token. Nil leaves it to this package.
	Fill func(column int, row int64, pos int32, dst []float32)
}

// Plan is the plan the run is written under: the shards have the columns label, group, split and p_yes.
func (r Run) Plan() run.Plan {
	scalars := append(shard.BaseScalars(), shard.Scalar{Name: "label", Type: shard.Int32}, shard.Scalar{Name: "group", Type: shard.String},
		shard.Scalar{Name: "split", Type: shard.String}, shard.Scalar{Name: "p_yes", Type: shard.Float32})
	return Plan(run.Plan{Ring: r.Ring, Data: run.DataRef{Name: "made", Rows: int64(len(r.Rows))}, Tokens: r.Tokens, Scalars: scalars, Vectors: r.Vectors}, r.Units)
}

// Plan completes a plan: its format, and units that share out its data rows evenly.
func Plan(p run.Plan, units int) run.Plan {
	p.Format, p.Units = run.PlanFormat, nil
	for u := range units + 1 {
		p.Units = append(p.Units, int64(u)*p.Data.Rows/int64(units))
	}
	return p
}

// Write puts the plan and commits every unit.
func (r Run) Write(tb testing.TB, st store.Store) run.Plan {
	tb.Helper()
	p := r.Plan()
	f := Fill{Tokens: func(row int64) int { return r.Rows[row].Tokens }, Scalar: r.scalar}
	if r.Fill != nil {
		index := map[string]int{}
		for c, v := range r.Vectors {
			index[v.Name] = c
		}
		f.Vector = func(column string, k shard.RowKey, dst []float32) { r.Fill(index[column], k.Row, k.Pos, dst) }
	}
	f.PutRun(tb, st, p)
	return p
}

func (r Run) scalar(column string, k shard.RowKey) any {
	row := r.Rows[k.Row]
	switch column {
	case "label":
		return row.Label
	case "group":
		return row.Group
	case "split":
		return row.Split
	case "p_yes":
		return row.PYes
	}
	return nil
}
