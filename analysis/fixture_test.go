package analysis

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/store/local"
	"actfleet/shard/tap"
)

// fixture describes a run on disk. Unit u holds rowsPerUnit rows; row r has
// label r%2, group r/2, and in column fc1_0 a vector of norm 5·(1+label), in
// resid_10 one of norm 13.
type fixture struct {
	plan     bool
	units    int // of the plan
	write    int // units that are committed
	manifest bool
	logs     bool
	probe    string   // id of a coder with scores; empty: none
	ids      []string // ids of tokenizers; code_0 of row r is r%4, code_1 is 0
	extra    []shard.Scalar
}

const rowsPerUnit = 600 // more than one row group

func whole() fixture {
	return fixture{plan: true, units: 3, write: 3, manifest: true, logs: true, probe: "lr-fc1"}
}

func (f fixture) schema() shard.Schema {
	return shard.Schema{
		Scalars: append(append(shard.BaseScalars(), shard.Scalar{Name: "label", Type: shard.Int32}, shard.Scalar{Name: "group", Type: shard.String}), f.extra...),
		Vectors: []shard.Vector{{Name: "fc1_0", Width: 2, Dtype: shard.F16}, {Name: "resid_10", Width: 3, Dtype: shard.F32}, {Name: "fc1_0__ia3", Width: 2, Dtype: shard.F16}},
	}
}

func (f fixture) planOf() run.Plan {
	s := f.schema()
	p := run.Plan{Format: run.PlanFormat, Model: run.ModelRef{Name: "tiny", Arch: "PhiForCausalLM", Layers: 12}, Data: run.DataRef{Name: "truth's.jsonl", Rows: int64(f.units * rowsPerUnit)},
		Sites: []tap.Site{tap.FC1, tap.Resid}, Layers: []int{0, 10}, Tokens: "last", Dtype: "auto", Scalars: s.Scalars, Vectors: s.Vectors}
	for u := range f.units + 1 {
		p.Units = append(p.Units, int64(u*rowsPerUnit))
	}
	return p
}

// build writes the run into dir.
func (f fixture) build(t testing.TB, dir string) {
	t.Helper()
	ctx := context.Background()
	st, err := local.New(dir)
	must(t, err)
	p := f.planOf()
	if f.plan {
		_, err := run.CreatePlan(ctx, st, p)
		must(t, err)
	}
	for u := range f.write {
		f.writeUnit(t, st, run.UnitKey(u), f.schema(), p.ID(), u)
		if f.probe != "" {
			s := shard.Schema{Scalars: []shard.Scalar{{Name: "row", Type: shard.Int64}, {Name: "pos", Type: shard.Int32}, {Name: "score", Type: shard.Float32}}}
			f.writeUnit(t, st, run.CodesKey(f.probe, u), s, p.ID(), u)
		}
		for _, id := range f.ids {
			f.writeUnit(t, st, run.CodesKey(id, u), tokenizerSchema, p.ID(), u)
		}
	}
	if f.manifest {
		_, done, err := run.Finish(ctx, st, p)
		must(t, err)
		if !done {
			t.Fatal("no manifest")
		}
	}
	if f.logs {
		f.writeLogs(t, dir)
	}
}

var tokenizerSchema = shard.Schema{Scalars: []shard.Scalar{{Name: "row", Type: shard.Int64}, {Name: "pos", Type: shard.Int32},
	{Name: "code_0", Type: shard.Int32}, {Name: "code_1", Type: shard.Int32}, {Name: "err", Type: shard.Float32}}}

func (f fixture) writeUnit(t testing.TB, st store.Store, key string, s shard.Schema, planID string, u int) {
	t.Helper()
	pending, err := st.Create(context.Background(), key)
	must(t, err)
	w, err := shard.NewWriter(pending, s, shard.Identity{PlanID: planID, Unit: u})
	must(t, err)
	for first := 0; first < rowsPerUnit; first += shard.RowGroupRows {
		must(t, w.WriteBlock(block(s, u*rowsPerUnit+first, min(shard.RowGroupRows, rowsPerUnit-first))))
	}
	_, err = w.Close()
	must(t, err)
	must(t, pending.Commit(context.Background()))
}

func block(s shard.Schema, first, rows int) *shard.Block {
	b := shard.NewBlock(s)
	b.Rows = rows
	for i := range rows {
		r := first + i
		for c := range s.Scalars {
			setScalar(b.Scalars[c], s.Scalars[c].Name, i, r)
		}
		for c, v := range s.Vectors {
			x := []float32{3 * float32(1+r%2), 4 * float32(1+r%2)}
			pack := shard.PackF16
			if v.Dtype == shard.F32 {
				x, pack = []float32{3, 4, 12}, shard.PackF32
			}
			b.Stats[c].Merge(pack(b.Vectors[c][i*v.RowBytes():], x))
		}
	}
	return b
}

func setScalar(column any, name string, i, r int) {
	switch c := column.(type) {
	case []int64:
		c[i] = int64(r)
	case []int32:
		c[i] = map[string]int32{"n_tokens": int32(5 + r%3), "label": int32(r % 2), "code_0": int32(r % 4), "pos": 4}[name]
	case []float32:
		c[i] = 0.25 + 0.5*float32(r%2) // the probe's score, a tokenizer's err
	case []string:
		c[i] = fmt.Sprintf("%s %d", name, r/2)
	}
}

// writeLogs has node-1 commit the even units and node-2, which dies, the odd ones.
func (f fixture) writeLogs(t testing.TB, dir string) {
	t.Helper()
	start := time.Date(2025, 11, 3, 22, 0, 0, 0, time.UTC)
	for n := range 2 {
		name, now := fmt.Sprintf("node-%d", n+1), start
		var data []byte
		say := func(event string, fields map[string]any) {
			m := map[string]any{"time": now, "event": event, "node": name}
			for k, v := range fields {
				m[k] = v
			}
			line, err := json.Marshal(m)
			must(t, err)
			data = append(append(data, line...), '\n')
		}
		say("start", map[string]any{"host": fmt.Sprintf("gpu%02d", n), "pid": 100 + n})
		for u := n; u < f.write; u += 2 {
			say("claim", map[string]any{"unit": u})
			now = now.Add(30 * time.Second)
			say("commit", map[string]any{"unit": u, "rows": rowsPerUnit, "bytes": 1000, "seconds": 30.0})
		}
		if n == 0 {
			say("leave", nil)
		} else {
			data = append(data, `{"time":"2025-11-`...)
		}
		must(t, os.MkdirAll(filepath.Join(dir, "log"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, run.LogKey(name, start)), data, 0o644))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openRun builds a fixture under a name and opens it.
func openRun(t testing.TB, f fixture, name string) *DB {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	f.build(t, dir)
	return openDirs(t, dir)
}

func openDirs(t testing.TB, dirs ...string) *DB {
	t.Helper()
	var runs []Run
	for _, dir := range dirs {
		runs = append(runs, Run{Name: dir})
	}
	db, err := Open(context.Background(), runs)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

// answer runs a query that must succeed.
func answer(t testing.TB, db *DB, text string) *Table {
	t.Helper()
	table, err := db.Query(context.Background(), text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return table
}
