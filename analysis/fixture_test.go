package analysis

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/shardtest"
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
	same     map[tap.Site]tap.Site // of the plan
	gone     []int                 // units that the one reader of a ring has acknowledged; nil: it is none
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
	var ring *run.Ring
	if f.gone != nil {
		ring = &run.Ring{Bytes: 1 << 20, Units: 3, Rows: int64(f.units * rowsPerUnit), Readers: []string{"sae-a"}}
	}
	return shardtest.Plan(run.Plan{Ring: ring, Model: run.ModelRef{Name: "tiny", Arch: "PhiForCausalLM", Layers: 12}, Data: run.DataRef{Name: "truth's.jsonl", Rows: int64(f.units * rowsPerUnit)},
		Sites: []tap.Site{tap.FC1, tap.Resid}, Layers: []int{0, 10}, Tokens: "last", Dtype: "auto", Scalars: s.Scalars, Vectors: s.Vectors, Same: f.same}, f.units)
}

// fill makes the values that fixture describes.
func (f fixture) fill() shardtest.Fill {
	return shardtest.Fill{Tokens: func(row int64) int { return 5 + int(row%3) }, Scalar: f.scalar, Vector: func(column string, k shard.RowKey, dst []float32) {
		if column == "resid_10" {
			copy(dst, []float32{3, 4, 12})
			return
		}
		dst[0], dst[1] = 3*float32(1+k.Row%2), 4*float32(1+k.Row%2)
	}}
}

func (f fixture) scalar(column string, k shard.RowKey) any {
	switch column {
	case "label":
		return int32(k.Row % 2)
	case "code_0":
		return int32(k.Row % 4)
	case "code_1":
		return int32(0)
	case "score", "err":
		return 0.25 + 0.5*float32(k.Row%2)
	}
	if column == "group" || slices.ContainsFunc(f.extra, func(c shard.Scalar) bool { return c.Name == column && c.Type == shard.String }) {
		return fmt.Sprintf("%s %d", column, k.Row/2)
	}
	return nil
}

// codesOf are the columns of a coder's shards after row and pos.
func codesOf(columns ...shard.Scalar) shard.Schema {
	return shard.Schema{Scalars: append([]shard.Scalar{{Name: "row", Type: shard.Int64}, {Name: "pos", Type: shard.Int32}}, columns...)}
}

var (
	scores = codesOf(shard.Scalar{Name: "score", Type: shard.Float32})
	ids    = codesOf(shard.Scalar{Name: "code_0", Type: shard.Int32}, shard.Scalar{Name: "code_1", Type: shard.Int32}, shard.Scalar{Name: "err", Type: shard.Float32})
)

// build writes the run into dir.
func (f fixture) build(t testing.TB, dir string) {
	t.Helper()
	st, err := local.New(dir)
	must(t, err)
	p, fill := f.planOf(), f.fill()
	if f.plan {
		_, err := run.CreatePlan(t.Context(), st, p)
		must(t, err)
	}
	for u := range f.write {
		fill.PutUnit(t, st, p, u)
		if f.probe != "" {
			fill.PutCodes(t, st, p, f.probe, scores, u)
		}
		for _, id := range f.ids {
			fill.PutCodes(t, st, p, id, ids, u)
		}
	}
	for _, u := range f.gone {
		var read run.Tally
		for _, k := range fill.Keys(t, p, u) {
			read.Add(k.Row, k.Pos)
		}
		must(t, run.Acknowledge(t.Context(), st, run.Ack{Reader: "sae-a", Unit: u, Tally: read}))
	}
	if f.gone != nil {
		ring, err := run.LookRing(t.Context(), st, p)
		must(t, err)
		must(t, ring.Sweep(t.Context(), st))
	}
	if f.manifest {
		_, done, err := run.Finish(t.Context(), st, p)
		must(t, err)
		if !done {
			t.Fatal("no manifest")
		}
	}
	if f.logs {
		f.writeLogs(t, st)
	}
}

// writeLogs has node-1 commit the even units and node-2, which dies, the odd ones.
func (f fixture) writeLogs(t testing.TB, st store.Store) {
	t.Helper()
	start := time.Date(2025, 11, 3, 22, 0, 0, 0, time.UTC)
	for n := range 2 {
		l := shardtest.Log{Node: fmt.Sprintf("node-%d", n+1), Now: start}
		l.Say(t, "start", map[string]any{"host": fmt.Sprintf("gpu%02d", n), "pid": 100 + n})
		for u := n; u < f.write; u += 2 {
			l.Say(t, "claim", map[string]any{"unit": u})
			l.Now = l.Now.Add(30 * time.Second)
			l.Say(t, "commit", map[string]any{"unit": u, "rows": rowsPerUnit, "bytes": 1000, "seconds": 30.0})
		}
		if n == 0 {
			l.Say(t, "leave", nil)
		} else {
			l.Tear()
		}
		l.Put(t, st, run.LogKey(l.Node, start))
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
	db, err := Open(context.Background(), runs, Options{})
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
