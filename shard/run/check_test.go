package run_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"actfleet/shard"
	. "actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/shard/store"
	"actfleet/shard/store/mem"
)

func checkRun(t testing.TB, st store.Store) Report {
	t.Helper()
	r, err := Check(t.Context(), st, CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCheckSound(t *testing.T) {
	for _, rule := range []string{"last", "all", "every:3", "pos:-1", "pos:4"} {
		p := testPlan()
		p.Tokens = rule
		st := newRun(t, p)
		if _, complete, err := Finish(t.Context(), st, p); err != nil || !complete {
			t.Fatal(complete, err)
		}
		var done, total int64
		r, err := Check(t.Context(), st, CheckOptions{Progress: func(d, n int64) { done, total = d, n }})
		if err != nil || !r.Sound() || !r.Complete || r.Committed != 3 || r.Rows == 0 {
			t.Errorf("%s: %+v, %v", rule, r, err)
		}
		if done != total || total != r.Bytes || total == 0 {
			t.Errorf("progress ended at %d of %d", done, total)
		}
	}
}

// keptOf is a rule that depends on the data: of every third prompt nothing, of the others the odd positions.
func keptOf(row int64) (kept []int) {
	for pos := 1; pos <= int(row%7) && row%3 > 0; pos += 2 {
		kept = append(kept, pos)
	}
	return kept
}

func TestCheckOfPositionsThatThePromptsSay(t *testing.T) {
	p := testPlan()
	p.Tokens = "mask:m"
	st := mem.New(nil)
	shardtest.Fill{Positions: keptOf}.PutRun(t, st, p)
	if _, err := Check(t.Context(), st, CheckOptions{}); err == nil || !strings.Contains(err.Error(), "mask:m") {
		t.Errorf("checked without the prompts: %v", err)
	}
	for _, c := range []struct {
		row  int64 // has other positions than the shard was made with
		kept []int
		want string
	}{
		{-1, nil, ""},
		{9, []int{0}, "data rows 9 to 9 are not there"},
		{403, []int{1}, "data row 403: positions [1 3] of 5 tokens, rule mask:m expects [1]"},
		{404, []int{1, 3, 4, 5}, "data row 404: positions [1 3 5] of 6 tokens"},
	} {
		r, err := Check(t.Context(), st, CheckOptions{Positions: func(lo, hi int64) (all [][]int32, err error) {
			for row := lo; row < hi; row++ {
				from, kept := keptOf(row), []int32{}
				if row == c.row {
					from = c.kept
				}
				for _, pos := range from {
					kept = append(kept, int32(pos))
				}
				all = append(all, kept)
			}
			return all, nil
		}})
		if lines := strings.Join(r.Damage, "\n"); err != nil || (c.want == "") != r.Sound() || !strings.Contains(lines, c.want) || r.Rows == 0 {
			t.Errorf("damage %q, %v; want %q", lines, err, c.want)
		}
	}
}

func TestCheckIncomplete(t *testing.T) {
	r := checkRun(t, newRun(t, testPlan(), 1))
	if !r.Sound() || r.Complete || !slices.Equal(r.Missing, []int{1}) || r.Committed != 2 {
		t.Errorf("%+v", r)
	}
}

// Every seeded fault of a producer is found, and named.
func TestCheckFindsWrongRows(t *testing.T) {
	tests := []struct {
		name, want string
		change     func(b []*shard.Block)
	}{
		{"twice", "is there twice", func(b []*shard.Block) { copyRow(b[0], 8, 7) }},
		{"missing row", "are not there", func(b []*shard.Block) { b[len(b)-1].Rows -= 60; b[len(b)-1].Measure(testPlan().Schema()) }},
		{"missing position", "expects", func(b []*shard.Block) { cutRow(b[len(b)-1]) }},
		{"other position", "rule every:3 expects", func(b []*shard.Block) { b[0].Scalars[1].([]int32)[0] = 5 }},
		{"outside", "outside", func(b []*shard.Block) { b[0].Scalars[0].([]int64)[3] = 999 }},
		{"length", "n_tokens is", func(b []*shard.Block) { b[0].Scalars[2].([]int32)[0] = 33 }},
		{"two lengths", "n_tokens is", func(b []*shard.Block) { b[0].Scalars[2].([]int32)[4]++ }},
		{"nan", "not finite", func(b []*shard.Block) { spoil(b[0], math.NaN()) }},
		{"infinite", "not finite", func(b []*shard.Block) { spoil(b[0], math.Inf(1)) }},
		{"statistics", "statistics", func(b []*shard.Block) { b[0].Stats[1].SumSq = math.Nextafter(b[0].Stats[1].SumSq, 0) }},
		{"max", "statistics", func(b []*shard.Block) { b[0].Stats[0].MaxAbs++ }},
	}
	for _, tt := range tests {
		p := testPlan()
		st := newRun(t, p, 0)
		putUnit(t, st, p, 0, tt.change)
		r := checkRun(t, st)
		if lines := strings.Join(r.Damage, "\n"); !strings.HasPrefix(lines, UnitKey(0)) || !strings.Contains(lines, tt.want) {
			t.Errorf("%s: damage %q", tt.name, r.Damage)
		}
	}
}

func copyRow(b *shard.Block, dst, src int) {
	b.Scalars[0].([]int64)[dst] = b.Scalars[0].([]int64)[src]
	b.Scalars[1].([]int32)[dst] = b.Scalars[1].([]int32)[src]
	b.Scalars[2].([]int32)[dst] = b.Scalars[2].([]int32)[src]
}

// cutRow gives the last data row of unit 0, which has 1 token and 1 position, a length at which the rule expects 2.
func cutRow(b *shard.Block) {
	n := b.Rows - 1
	b.Scalars[2].([]int32)[n] = 4
}

func spoil(b *shard.Block, x float64) {
	binary.LittleEndian.PutUint32(b.Vectors[1][40:], math.Float32bits(float32(x)))
}

func TestCheckFindsForeignFiles(t *testing.T) {
	p := testPlan()
	st := newRun(t, p, 2)
	for _, key := range []string{"acts/unit-000003.parquet", "acts/copy.parquet"} {
		if err := store.Put(t.Context(), st, key, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	other := p
	other.Dtype = "f16"
	putUnit(t, st, other, 2, nil)
	r := checkRun(t, st)
	if len(r.Damage) != 3 {
		t.Errorf("damage %q", r.Damage)
	}
}

func TestCheckFindsWhatIsGone(t *testing.T) {
	p := testPlan()
	st := newRun(t, p)
	if _, _, err := Finish(t.Context(), st, p); err != nil {
		t.Fatal(err)
	}
	if err := st.Delete(t.Context(), UnitKey(1)); err != nil {
		t.Fatal(err)
	}
	r := checkRun(t, st)
	if len(r.Damage) != 1 || !strings.Contains(r.Damage[0], "is gone") || !slices.Equal(r.Missing, []int{1}) {
		t.Errorf("%+v", r)
	}
}

// Whatever bit of a shard flips, the manifest tells.
func TestCheckFindsFlippedBits(t *testing.T) {
	p := testPlan()
	st := newRun(t, p)
	if _, _, err := Finish(t.Context(), st, p); err != nil {
		t.Fatal(err)
	}
	good, err := store.Get(t.Context(), st, UnitKey(1), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		bad := bytes.Clone(good)
		bad[rapid.IntRange(0, len(bad)-1).Draw(rt, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		replace(t, st, UnitKey(1), bad)
		if r := checkRun(t, st); r.Sound() {
			rt.Fatal("the damage was not found")
		}
	})
}

func replace(t testing.TB, st store.Store, key string, data []byte) {
	t.Helper()
	if err := st.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), st, key, data); err != nil {
		t.Fatal(err)
	}
}

// A run that is not in memory is fetched once: each shard, and its footer and the places of its rows a second time at
// most.
func TestCheckReadsOnce(t *testing.T) {
	p := testPlan()
	st := newRun(t, p)
	if _, _, err := Finish(t.Context(), st, p); err != nil {
		t.Fatal(err)
	}
	far := &farStore{Store: st}
	r := checkRun(t, far)
	if !r.Sound() || far.read < r.Bytes || far.read > r.Bytes+far.footers {
		t.Errorf("read %d of %d bytes with footers of %d: %q", far.read, r.Bytes, far.footers, r.Damage)
	}
	good, err := store.Get(t.Context(), st, UnitKey(1), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(good); at += 1 + at/8 {
		bad := bytes.Clone(good)
		bad[at] ^= 4
		replace(t, st, UnitKey(1), bad)
		if near, far := checkRun(t, st), checkRun(t, far); near.Sound() || !slices.Equal(near.Damage, far.Damage) {
			t.Fatalf("byte %d: damage %q, far away %q", at, near.Damage, far.Damage)
		}
	}
}

// Opening a shard that is not in memory reads its footer and nothing else.
func TestOpenReadsTheFooter(t *testing.T) {
	far := &farStore{Store: newRun(t, testPlan())}
	r, err := shard.Open(t.Context(), far, UnitKey(0))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if far.read != far.footers {
		t.Errorf("read %d bytes, the footer has %d", far.read, far.footers)
	}
}

// farStore counts what is read of shards, which do not lie in memory.
type farStore struct {
	store.Store
	mu            sync.Mutex
	read, footers int64
}

type farObject struct {
	store.Object
	st *farStore
}

func (s *farStore) Open(ctx context.Context, key string) (store.Object, error) {
	o, err := s.Store.Open(ctx, key)
	if err != nil || !strings.HasPrefix(key, "acts/") {
		return o, err
	}
	var tail [8]byte
	if _, err := o.ReadAt(tail[:], o.Size()-8); err != nil && err != io.EOF {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, err := shard.FooterSize(tail, o.Size()); err == nil {
		s.footers += n
	}
	return farObject{o, s}, nil
}

func (o farObject) ReadAt(b []byte, off int64) (int, error) {
	o.st.mu.Lock()
	o.st.read += int64(len(b))
	o.st.mu.Unlock()
	return o.Object.ReadAt(b, off)
}

func TestCheckNeedsAPlan(t *testing.T) {
	if _, err := Check(t.Context(), mem.New(nil), CheckOptions{}); err == nil {
		t.Error("an empty store is a run")
	}
}

// Under dtype auto a unit may store a column as F32 where its values do not fit; under f16 it may not.
func TestCheckAllowsWidening(t *testing.T) {
	for dtype, sound := range map[string]bool{"auto": true, "f16": false} {
		p := testPlan()
		p.Dtype = dtype
		st := newRun(t, p, 1)
		wide := p
		wide.Vectors = []shard.Vector{{Name: "fc2_3", Width: 16, Dtype: shard.F32}, {Name: "resid_3", Width: 12, Dtype: shard.F32}}
		shardtest.Put(t, st, UnitKey(1), wide.Schema(), p.Identity(1), unitBlocks(t, wide, 1))
		if r := checkRun(t, st); r.Sound() != sound {
			t.Errorf("dtype %s: %q", dtype, r.Damage)
		}
	}
}
