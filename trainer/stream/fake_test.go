package stream

import (
	"encoding/binary"
	"math"
	"testing"

	"pgregory.net/rapid"

	"actfleet/shard"
)

const fakeWidth = 4

// fakeUnit is a unit in memory. Its rows are prompts of some length with all
// positions kept; the vector of a row is fakeValue of its key, four times.
type fakeUnit struct {
	number int
	rows   []fakeRow
	fail   error        // returned by Vector
	bad    map[int]bool // indices whose vector holds an Inf
}

type fakeRow struct {
	row    int64
	pos, n int32
	split  string
	label  int32
}

var fakeSchema = shard.Schema{
	Scalars: []shard.Scalar{{Name: "row", Type: shard.Int64}, {Name: "pos", Type: shard.Int32},
		{Name: "n_tokens", Type: shard.Int32}, {Name: "split", Type: shard.String}, {Name: "label", Type: shard.Int32}},
	Vectors: []shard.Vector{{Name: "other", Width: 1, Dtype: shard.F32}, {Name: "fc1_0", Width: fakeWidth, Dtype: shard.F32}},
}

func fakeValue(k Key) float32 { return float32(k.Prompt*7 + int64(k.Pos)) }

func (u *fakeUnit) Schema() shard.Schema { return fakeSchema }
func (u *fakeUnit) NumGroups() int       { return (len(u.rows) + 511) / 512 }
func (u *fakeUnit) GroupRows(g int) int  { return min(512, len(u.rows)-512*g) }
func (u *fakeUnit) Close() error         { return nil }

func (u *fakeUnit) VectorIndex(name string) (int, bool) {
	for i, v := range fakeSchema.Vectors {
		if v.Name == name {
			return i, true
		}
	}
	return 0, false
}

func (u *fakeUnit) Stats(int) shard.VectorStats {
	return shard.VectorStats{Count: int64(len(u.rows)), NonFinite: int64(len(u.bad))}
}

func (u *fakeUnit) group(g int) []fakeRow { return u.rows[512*g : 512*g+u.GroupRows(g)] }

func (u *fakeUnit) Scalars(g int, names ...string) ([]any, error) {
	out := make([]any, len(names))
	for i, name := range names {
		switch name {
		case "row":
			out[i] = gather(u.group(g), func(r fakeRow) int64 { return r.row })
		case "pos":
			out[i] = gather(u.group(g), func(r fakeRow) int32 { return r.pos })
		case "n_tokens":
			out[i] = gather(u.group(g), func(r fakeRow) int32 { return r.n })
		case "label":
			out[i] = gather(u.group(g), func(r fakeRow) int32 { return r.label })
		case "split":
			out[i] = gather(u.group(g), func(r fakeRow) string { return r.split })
		}
	}
	return out, nil
}

func gather[T any](rows []fakeRow, f func(fakeRow) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = f(r)
	}
	return out
}

func (u *fakeUnit) Vector(g, _ int, buf []byte) ([]byte, error) {
	if u.fail != nil {
		return nil, u.fail
	}
	for i, r := range u.group(g) {
		v := fakeValue(Key{Prompt: r.row, Pos: r.pos})
		for j := range fakeWidth {
			if j == fakeWidth-1 && u.bad[512*g+i] {
				v = float32(math.Inf(-1))
			}
			binary.LittleEndian.PutUint32(buf[(i*fakeWidth+j)*4:], math.Float32bits(v))
		}
	}
	return buf, nil
}

func openFake(units []*fakeUnit, cfg Config) (*Stream, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Stream{cfg: cfg}
	for _, u := range units {
		p := &part{unit: u, number: u.number}
		if err := p.resolve(cfg); err != nil {
			return nil, err
		}
		s.parts, s.opened, s.first = append(s.parts, p), append(s.opened, p), p.columns
	}
	return s, nil
}

// makeUnit fills a unit with n rows: prompts of 1 to 5 tokens.
func makeUnit(number, n int, firstRow int64) *fakeUnit {
	u := &fakeUnit{number: number}
	for row := firstRow; len(u.rows) < n; row++ {
		length := int32(1 + row%5)
		split := []string{"train", "test"}[row%2]
		for pos := int32(0); pos < length && len(u.rows) < n; pos++ {
			u.rows = append(u.rows, fakeRow{row, pos, length, split, int32(row % 3)})
		}
	}
	return u
}

func fixedUnits(count, rows int) []*fakeUnit {
	units := make([]*fakeUnit, count)
	for i := range units {
		units[i] = makeUnit(i, rows, int64(i*rows))
	}
	return units
}

func drawUnits(t *rapid.T) []*fakeUnit {
	sizes := rapid.SliceOfN(rapid.IntRange(1, 1500), 1, 4).Draw(t, "unit sizes")
	units := make([]*fakeUnit, len(sizes))
	for i, n := range sizes {
		units[i] = makeUnit(i, n, int64(i)*10000)
	}
	return units
}

func drawConfig(t *rapid.T) Config {
	return Config{
		Column:        "fc1_0",
		Batch:         rapid.IntRange(1, 700).Draw(t, "batch"),
		ShuffleWindow: rapid.IntRange(1, 6).Draw(t, "window"),
		Seed:          rapid.Uint64().Draw(t, "seed"),
		Epochs:        rapid.IntRange(1, 3).Draw(t, "epochs"),

		Prefetch: rapid.IntRange(0, 4).Draw(t, "prefetch"),
	}
}

func TestFilters(t *testing.T) {
	units := fixedUnits(3, 900)
	units[1].bad = map[int]bool{0: true, 700: true}
	base := Config{Column: "fc1_0", Batch: 100, ShuffleWindow: 2, Epochs: 1}
	byKey := map[Key]fakeRow{}
	for _, u := range units {
		for _, r := range u.rows {
			byKey[Key{Unit: int32(u.number), Prompt: r.row, Pos: r.pos}] = r
		}
	}
	read := func(f Filter) []Key {
		cfg := base
		cfg.Filter = f
		s := open(t, units, cfg)
		defer closeStream(t, s)
		keys, _, _ := drain(t, s, 1000)
		return keys
	}
	all := read(Filter{})
	if len(all) != 2700-2 {
		t.Errorf("%d finite rows, want %d", len(all), 2700-2)
	}
	for _, k := range read(Filter{Tokens: "last"}) {
		if r := byKey[k]; r.pos != r.n-1 {
			t.Fatalf("%v is not a last token", k)
		}
	}
	for _, k := range read(Filter{Where: []string{"split=test", "label = 2"}}) {
		if r := byKey[k]; r.split != "test" || r.label != 2 {
			t.Fatalf("%v does not match", k)
		}
	}
	h := Holdout{Fraction: 0.3, Seed: 5}
	kept, held := read(Filter{Holdout: h, Side: Train}), read(Filter{Holdout: h, Side: Heldout})
	if len(kept)+len(held) != len(all) {
		t.Errorf("%d + %d rows, want %d", len(kept), len(held), len(all))
	}
	if share := float64(len(held)) / float64(len(all)); share < 0.2 || share > 0.4 {
		t.Errorf("held out %.2f, want 0.3", share)
	}
	side := map[int64]bool{}
	for _, k := range held {
		side[k.Prompt] = true
	}
	for _, k := range kept {
		if side[k.Prompt] {
			t.Fatalf("row %d is on both sides", k.Prompt)
		}
	}
}

// A cursor counts kept rows, so resuming works with a filter too.
func TestResumeFiltered(t *testing.T) {
	cfg := Config{Column: "fc1_0", Batch: 50, ShuffleWindow: 2, Epochs: 2, Filter: Filter{Tokens: "last"}}
	a := open(t, fixedUnits(3, 900), cfg)
	defer closeStream(t, a)
	drain(t, a, 3)
	c := a.Cursor()
	want, _, _ := drain(t, a, 1000)
	b := open(t, fixedUnits(3, 900), cfg)
	defer closeStream(t, b)
	if err := b.Seek(c); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := drain(t, b, 1000); len(got) != len(want) || got[0] != want[0] {
		t.Error("the remainder differs")
	}
}

func TestCount(t *testing.T) {
	for _, f := range []Filter{{}, {Tokens: "last"}, {Where: []string{"label=1"}}} {
		s := open(t, fixedUnits(3, 900), Config{Column: "fc1_0", Batch: 100, ShuffleWindow: 2, Epochs: 1, Filter: f})
		defer closeStream(t, s)
		keys, _, _ := drain(t, s, 1000)
		if n, err := s.Count(t.Context()); err != nil || n != int64(len(keys)) {
			t.Errorf("%+v: Count %d, %v; %d rows came", f, n, err, len(keys))
		}
	}
}
