package report

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"actfleet/analysis/evaluate"
	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/shard/store"
	"actfleet/shard/store/mem"
	"actfleet/shard/tap"
	"actfleet/trainer/coder"
)

func memoryRun(t testing.TB, files map[string]string) *mem.Store {
	t.Helper()
	run := mem.New(func() time.Time { return logStart })
	for key, text := range files {
		must(t, store.Put(context.Background(), run, key, []byte(text)))
	}
	return run
}

const nodeLog = `{"time":"2025-11-03T22:00:00Z","event":"start","node":"n1","host":"a","pid":7}
{"time":"2025-11-03T22:00:01Z","event":"claim","node":"n1","unit":0}
{"time":"2025-11-03T22:00:11Z","event":"commit","node":"n1","unit":0,"rows":512,"bytes":99,"seconds":10}

not json
{"time":"0001-01-01T00:00:00Z","event":"commit","unit":9}
{"time":"2025-11-03T22:00:11Z","event":"claim","unit":1}
{"time":"2025-11-03T22:00:12Z","event":"claim","unit":2}
{"time":"2025-11-03T22:00:20Z","event":"lost","unit":1,"msg":"duplicate of n2"}
{"time":"2025-11-03T22:00:21Z","event":"lost","unit":2,"msg":"n2 was first"}
{"time":"2025-11-03T22:00:25Z","event":"drop","unit":3,"seconds":2}
{"time":"2025-11-03T22:00:25Z","event":"claim","unit":5}
{"time":"2025-11-03T22:00:26Z","event":"overtaken","unit":5}
{"time":"2025-11-03T22:00:26Z","event":"claim","unit":4}
{"time":"2025-11-03T22:00:30Z","event":"error","msg":"disk full"}
{"time":"2025-11-`

func TestLoadTimeline(t *testing.T) {
	run := memoryRun(t, map[string]string{"log/n1-x.jsonl": nodeLog, "log/n10-x.jsonl": `{"time":"2025-11-03T22:00:00Z","event":"start"}` + "\n" + `{"time":"2025-11-03T22:00:09Z","event":"leave"}`,
		"log/n2-x.jsonl": `{"time":"2025-11-03T22:00:00Z","event":"start","node":"n2"}`, "log/notes.txt": "x", "log/empty.jsonl": ""})
	f, err := LoadTimeline(context.Background(), run)
	must(t, err)
	if len(f.Nodes) != 3 || f.Nodes[0].Name != "n1" || f.Nodes[1].Name != "n2" || f.Nodes[2].Name != "n10-x" || f.Skipped != 3 {
		t.Fatalf("%d nodes, %d skipped: %+v", len(f.Nodes), f.Skipped, f.Nodes)
	}
	n := f.Nodes[0]
	if n.Left || !f.Nodes[2].Left || n.Host != "a" || n.PID != 7 || n.Error != "disk full" || n.End.Second() != 30 {
		t.Errorf("%+v", n)
	}
	want := []struct {
		unit    int
		outcome Outcome
		seconds float64
	}{{0, Won, 10}, {1, Duplicate, 9}, {2, Lost, 9}, {3, Dropped, 2}, {5, Dropped, 1}, {4, Unfinished, 4}}
	if len(n.Spans) != len(want) {
		t.Fatalf("spans %+v", n.Spans)
	}
	for i, w := range want {
		s := n.Spans[i]
		if s.Unit != w.unit || s.Outcome != w.outcome || s.End.Sub(s.Start).Seconds() != w.seconds {
			t.Errorf("span %d: %+v, want %+v", i, s, w)
		}
	}
}

// The pieces of a log in a bucket are one node's.
func TestLoadTimelineOfPieces(t *testing.T) {
	half := strings.LastIndex(nodeLog[:len(nodeLog)/2], "\n") + 1
	whole, err := LoadTimeline(t.Context(), memoryRun(t, map[string]string{"log/n1-20251103T220000.000Z.jsonl": nodeLog}))
	must(t, err)
	cut, err := LoadTimeline(t.Context(), memoryRun(t, map[string]string{
		"log/n1-20251103T220000.000Z.000.jsonl": nodeLog[:half], "log/n1-20251103T220000.000Z.001.jsonl": nodeLog[half:]}))
	must(t, err)
	if len(whole.Nodes) != 1 || !reflect.DeepEqual(whole, cut) {
		t.Errorf("in pieces %+v, whole %+v", cut, whole)
	}
}

func FuzzParseLog(f *testing.F) {
	f.Add([]byte(nodeLog))
	f.Add([]byte(`{"time":"2025-11-03T22:00:00Z","event":"commit","unit":-5,"seconds":1e300,"rows":-1}`))
	f.Add([]byte(`{"time":"9999-12-31T23:59:59Z","event":"claim"}` + "\n" + `{"time":"2000-01-01T00:00:00Z","event":"commit","seconds":1e6}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, _ := parseLog(data)
		for _, s := range n.Spans {
			if s.End.Before(s.Start) || s.Start.Before(n.Start) || s.End.After(n.End) {
				t.Fatalf("span %+v outside of its node %v–%v", s, n.Start, n.End)
			}
		}
		if n.Start.IsZero() {
			return
		}
		page := string(timeline(Fleet{Nodes: []Node{n}}))
		if strings.Contains(page, "NaN") || strings.Contains(page, "Inf") {
			t.Fatalf("a coordinate is no number: %s", page)
		}
	})
}

func TestLoadCoder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sae-1")
	writeJSON(t, filepath.Join(dir, "cfg.json"), map[string]any{"kind": "sae", "arch": "topk", "site": "fc2", "layer": 3, "width": 64, "d_in": 8, "config": map[string]any{"k": 4}})
	c, err := LoadCoder(dir)
	must(t, err)
	if c.Name != "sae-1" || c.Arch != "topk" || c.Layer != 3 || c.Width != 64 || len(c.Points) != 0 {
		t.Errorf("%+v", c)
	}
	lines := `{"step":1,"tokens":10,"seconds":0.5,"split":"train","loss":3,"note":"text"}
{"step":2,"tokens":20,"split":"train","loss":2}
{"step":2,"tokens":20,"split":"eval","loss":2.5}
{"step":3,"tokens":30,"split":"train","loss":9}
broken
{"step":2,"tokens":20,"split":"train","loss":1.5}
{"step":3,"tokens":30,"split":"train","loss":null}
{"step":4,`
	must(t, os.WriteFile(filepath.Join(dir, "metrics.jsonl"), []byte(lines), 0o644))
	c, err = LoadCoder(dir)
	must(t, err)
	if len(c.Points) != 3 || c.Points[1].Values["loss"] != 1.5 || c.Points[1].Split != "train" || len(c.Points[2].Values) != 0 {
		t.Errorf("resumed at step 2: %+v", c.Points)
	}
	if _, err := LoadCoder(filepath.Join(dir, "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
	must(t, os.WriteFile(filepath.Join(dir, "cfg.json"), []byte("{"), 0o644))
	if _, err := LoadCoder(dir); err == nil || !strings.Contains(err.Error(), "cfg.json: ") {
		t.Errorf("broken cfg.json: %v", err)
	}
}

func FuzzMetrics(f *testing.F) {
	f.Add([]byte(`{"step":1,"tokens":10,"loss":3}` + "\n" + `{"step":2,"tokens":1e300,"loss":-1e308}` + "\n" + `{"step":-5,"loss":1e308}`))
	f.Add([]byte(`{"step":1,"loss":1e-320}` + "\n" + `{"step":2,"loss":1e300}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		coders := []Coder{{Name: "x", Points: coder.ParseEvents(data)}}
		for _, m := range metricsOf(coders) {
			page := string(drawPanel(coders, m).svg())
			if strings.Contains(page, `"NaN`) || strings.Contains(page, "Inf") {
				t.Fatalf("a coordinate is no number: %s", page)
			}
		}
	})
}

func TestAddRun(t *testing.T) {
	ctx := context.Background()
	st := memoryRun(t, map[string]string{"log/n1-x.jsonl": nodeLog})
	p := shardtest.Plan(run.Plan{Model: run.ModelRef{Name: "tiny", Arch: "PhiForCausalLM"}, Data: run.DataRef{Name: "d", Rows: 30}, Sites: []tap.Site{tap.FC1}, Layers: []int{0, 1, 2, 5, 7, 8}, Tokens: "last", Dtype: "f16",
		Compute: "f32", Device: "cpu", Scalars: shard.BaseScalars(), Vectors: []shard.Vector{{Name: "fc1_0", Width: 2, Dtype: shard.F16}, {Name: "fc1_8__ia3", Width: 2, Dtype: shard.F16}}}, 3)
	if err := (&Report{}).AddRun(ctx, st); err == nil || !strings.Contains(err.Error(), "no plan.json there") {
		t.Errorf("without a plan: %v", err)
	}
	fill := shardtest.Fill{Vector: func(_ string, _ shard.RowKey, dst []float32) { copy(dst, []float32{3, 4}) }}
	fill.PutRun(t, st, p, 2)
	must(t, store.Put(ctx, st, run.UnitKey(2), []byte("damaged")))
	var r Report
	must(t, r.AddRun(ctx, st))
	got := r.Runs[0]
	if got.Committed != 2 || got.Units != 3 || got.Rows != 20 || got.Bytes < 100 || got.Layers != "0–2, 5, 7–8" || got.Compute != "f32 on cpu" || got.Model != "tiny (PhiForCausalLM)" || got.Started.Second() != 0 || got.Ended.Second() != 30 {
		t.Errorf("%+v", got)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "damaged and left out: 1. acts/unit-000002.parquet: 7 bytes") {
		t.Errorf("notes %q", r.Notes)
	}
	if n := r.Norms[0].Columns; len(n) != 2 || math.Abs(n[0].RMS-5) > 1e-9 || n[1].Variant != "ia3" || n[1].MaxAbs != 4 {
		t.Errorf("norms %+v", n)
	}
	if page := render(t, r); !strings.Contains(page, "2 of 3 committed, damaged: 1") || !strings.Contains(page, "disk full") {
		t.Error("the page lacks what was read")
	}
}

// What a name and a size do not tell, a footer does: the shard of another unit, or of another plan.
func TestAddRunNamesSwappedShards(t *testing.T) {
	plan := func(name string) run.Plan {
		return shardtest.Plan(run.Plan{Data: run.DataRef{Name: name, Rows: 30}, Tokens: "last", Scalars: shard.BaseScalars(), Vectors: []shard.Vector{{Name: "fc1_0", Width: 2, Dtype: shard.F16}}}, 3)
	}
	p, other := plan("d"), plan("e")
	for name, foreign := range map[string]shard.Identity{"another unit's": p.Identity(2), "another run's": other.Identity(1)} {
		st := memoryRun(t, nil)
		shardtest.Fill{}.PutRun(t, st, p, 1)
		shardtest.Put(t, st, run.UnitKey(1), p.Schema(), foreign, shardtest.Fill{}.Blocks(p.Schema(), shardtest.Fill{}.Keys(t, p, 1)))
		must(t, store.Put(t.Context(), st, run.UnitKey(999), []byte("PAR1")))
		var r Report
		must(t, r.AddRun(t.Context(), st))
		if r.Runs[0].Damaged != 1 || r.Runs[0].Committed != 2 || len(r.Notes) != 2 || !strings.Contains(r.Notes[0], "acts/unit-000001.parquet: it says it is unit") || !strings.Contains(r.Notes[1], "unit-000999") {
			t.Errorf("%s: %+v, %q", name, r.Runs[0], r.Notes)
		}
	}
}

func TestNatural(t *testing.T) {
	for _, c := range [][2]string{{"n2", "n10"}, {"a", "b"}, {"n1", "n1a"}, {"n01-a", "n1-b"}, {"", "x"}, {"n9", "n10"}} {
		if natural(c[0], c[1]) >= 0 || natural(c[1], c[0]) <= 0 {
			t.Errorf("%q must come before %q", c[0], c[1])
		}
	}
	if natural("n01", "n1") != 0 {
		t.Error("n01 and n1 are one number")
	}
}

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		short(0): "0", short(0.0833): "0.0833", short(1234.6): "1235", short(12345): "12.3k", short(1.2e7): "12M", short(2e-7): "2e-7", short(math.NaN()): "–", short(-0.5): "-0.5", short(99.96): "100",
		whole(1234567): "1\u202f234\u202f567", whole(-1234): "-1\u202f234", whole(999): "999", size(999): "999\u00a0B", size(19_234_567_890): "19.2\u00a0GB",
		span(90 * time.Second): "1\u00a0min\u00a030\u00a0s", span(5700 * time.Second): "1\u00a0h\u00a035\u00a0min", span(1500 * time.Millisecond): "1.5\u00a0s", span(50 * time.Hour): "2\u00a0d\u00a02\u00a0h",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A folder of probe folders gives the matrix and the probes of each run; names that lead out of it are refused.
func TestTransfersAreLoaded(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 1))
	for _, name := range []string{"a", "b"} {
		writeJSON(t, filepath.Join(dir, name, evaluate.ResultsFile), fixtureTable(smallDims, rng))
	}
	cell := func(v evaluate.Value) evaluate.Cell {
		return evaluate.Cell{Probe: "logistic_fc2_1", N: 40, AUROC: v, Lo: v - .1, Hi: v + .1}
	}
	x := evaluate.Transfer{Runs: []string{"a", "b"}, Cells: [][]evaluate.Cell{{cell(.9), cell(.6)}, {cell(.55), {AUROC: evaluate.Value(math.NaN()), Why: "there is no test split"}}}}
	writeJSON(t, filepath.Join(dir, evaluate.TransferFile), x)
	var r Report
	must(t, r.AddProbes(dir))
	var page bytes.Buffer
	must(t, Write(&page, r))
	for _, want := range []string{"<b>0.900</b> <small>0.800–1.000, 40 rows</small>", "there is no test split", "Transfer: ", "Probes: b"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	x.Runs[1] = "../b"
	writeJSON(t, filepath.Join(dir, evaluate.TransferFile), x)
	if err := new(Report).AddProbes(dir); err == nil || !strings.Contains(err.Error(), "no folder in it") {
		t.Errorf("%v", err)
	}
}
