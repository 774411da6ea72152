package mirror

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/shard/store"
	"actfleet/shard/store/mem"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// made is a run of two units with 700 rows each, a mirror of it, and what the store was asked for.
func made(t testing.TB) (st *shardtest.Counted, m *Mirror) {
	t.Helper()
	st = &shardtest.Counted{Store: mem.New(nil)}
	p := shardtest.Plan(run.Plan{Data: run.DataRef{Name: "made", Rows: 1400}, Tokens: "last", Scalars: shard.BaseScalars(),
		Vectors: []shard.Vector{{Name: "fc2_0", Width: 16, Dtype: shard.F16}, {Name: "resid_0", Width: 8, Dtype: shard.F32}}}, 2)
	shardtest.Fill{}.PutRun(t, st, p)
	must(t, store.Put(t.Context(), st, run.UnitKey(7), []byte("no shard, but of some length")))
	must(t, store.Put(t.Context(), st, "log/node-1.jsonl", []byte("{}\n")))
	m, err := Open(t.Context(), st, filepath.Join(t.TempDir(), "mirror"))
	must(t, err)
	t.Cleanup(func() { must(t, m.Close()) })
	return st, m
}

// both is an object and what stands in for it.
func both(t testing.TB, st store.Store, m *Mirror, key string) (there, here []byte) {
	t.Helper()
	there, err := store.Get(t.Context(), st, key, 1<<30)
	must(t, err)
	here, err = os.ReadFile(filepath.Join(m.Dir, filepath.FromSlash(key)))
	must(t, err)
	return there, here
}

// Small files are there, shards are holes with a footer, and what is no shard is a hole.
func TestOpen(t *testing.T) {
	st, m := made(t)
	for _, key := range []string{run.KeyPlan, "log/node-1.jsonl"} {
		if there, here := both(t, st, m, key); !bytes.Equal(there, here) {
			t.Errorf("%s differs", key)
		}
	}
	there, here := both(t, st, m, run.UnitKey(0))
	r, err := shard.NewReader(bytes.NewReader(here), int64(len(here)))
	must(t, err)
	span, _ := r.Chunk(0, "fc2_0")
	if len(there) != len(here) || r.NumRows() != 700 || strings.Trim(string(here[span.Off:span.End()]), "\x00") != "" {
		t.Errorf("the shard's stand-in has %d of %d bytes, %d rows, or is no hole", len(here), len(there), r.NumRows())
	}
	if _, here := both(t, st, m, run.UnitKey(7)); strings.Trim(string(here), "\x00") != "" {
		t.Errorf("what is no shard became %q", here)
	}
	if want := []string{"fc2_0", "n_tokens", "pos", "resid_0", "row", "token", "token_id"}; !slices.Equal(m.Columns(), want) {
		t.Errorf("columns %q", m.Columns())
	}
}

// What is fetched is the store's bytes, costs what Cost said, and is not fetched again; files that are ruled out stay
// holes.
func TestFetch(t *testing.T) {
	st, m := made(t)
	first := func(path string) bool { return strings.HasSuffix(path, "unit-000000.parquet") }
	for _, step := range []struct {
		want  Want
		files int
	}{
		{Want{Columns: []string{"fc2_0", "nowhere"}, Files: first}, 1},
		{Want{Columns: []string{"fc2_0"}}, 1}, // the other one
		{Want{Columns: []string{"fc2_0"}}, 0},
		{Want{Columns: []string{"fc2_0", "row"}}, 2},
	} {
		cost, before, told := m.Cost([]Want{step.want}), st.Read.Load(), atomic.Int64{}
		held := m.Fetched()
		must(t, m.Fetch(t.Context(), []Want{step.want}, func(n int64) { told.Add(n) }))
		if read := st.Read.Load() - before; read != cost || told.Load() != cost || m.Fetched()-held != cost || (cost > 0) != (step.files > 0) {
			t.Errorf("%v: %d bytes read, %d told, %d were to be", step.want.Columns, read, told.Load(), cost)
		}
	}
	for u := range 2 {
		there, here := both(t, st, m, run.UnitKey(u))
		r, err := shard.NewReader(bytes.NewReader(there), int64(len(there)))
		must(t, err)
		for g := range r.NumGroups() {
			for _, column := range []string{"fc2_0", "row"} {
				if s, _ := r.Chunk(g, column); !bytes.Equal(here[s.Off:s.End()], there[s.Off:s.End()]) {
					t.Errorf("unit %d, group %d: %s differs", u, g, column)
				}
			}
			if s, _ := r.Chunk(g, "resid_0"); strings.Trim(string(here[s.Off:s.End()]), "\x00") != "" {
				t.Errorf("unit %d, group %d: resid_0 was fetched", u, g)
			}
		}
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	_, m := made(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	want := []Want{{Columns: []string{"fc2_0"}}}
	cost := m.Cost(want)
	if err := m.Fetch(ctx, want, nil); err == nil || m.Cost(want) != cost {
		t.Errorf("%v; %d bytes are missing of %d", err, m.Cost(want), cost)
	}
}

// Requests cover the spans, in order, and none is longer than it may be.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var spans []shard.Span
		at, total := int64(0), int64(0)
		for range rapid.IntRange(0, 20).Draw(t, "spans") {
			at += rapid.SampledFrom([]int64{0, 0, 1, 1000}).Draw(t, "gap")
			s := shard.Span{Off: at, Size: rapid.Int64Range(1, 3*maxPart).Draw(t, "size")}
			at, total = s.End(), total+s.Size
			spans = append(spans, s)
		}
		covered, end := int64(0), int64(0)
		for _, s := range merge(slices.Clone(spans)) {
			if s.Size < 1 || s.Size > maxPart || s.Off < end {
				t.Fatalf("%+v after %d", s, end)
			}
			covered, end = covered+s.Size, s.End()
		}
		if covered != total || end != at {
			t.Fatalf("%d bytes to %d, want %d to %d", covered, end, total, at)
		}
	})
}
