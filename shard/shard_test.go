package shard

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"actfleet/shard/store"
	"actfleet/shard/store/local"
)

// testSchema has every scalar type, a column of one page and a column of several, of every dtype.
func testSchema() Schema {
	return Schema{
		Scalars: append(BaseScalars(), Scalar{"label", Bool}, Scalar{"score", Float32}, Scalar{"weight", Float64}, Scalar{"group", String}),
		Vectors: []Vector{{"resid_0", 16, F16}, {"fc1_0", 5, F32}, {"fc2_11", 1, F16}, {"Wqkv_3__ia3", 1200, F16}, {"experts_3", 3, I32}},
	}
}

// testID is the identity of the shards of these tests.
var testID = Identity{PlanID: "0123456789abcdef", Unit: 7}

// fillBlock makes a block of rows first, first+1, … from a seed.
func fillBlock(s Schema, first int64, rows int) *Block {
	rng := rand.New(rand.NewPCG(uint64(first), 1))
	b := NewBlock(s)
	b.Rows = rows
	for i, c := range s.Scalars {
		fillScalars(b.Scalars[i], c, first, rows, rng)
	}
	for i, v := range s.Vectors {
		src := make([]float32, v.Width)
		for r := range rows {
			for j := range src {
				src[j] = float32(rng.NormFloat64())
			}
			pack := map[Dtype]func([]byte, []float32) VectorStats{F16: PackF16, F32: PackF32, I32: packHundreds}[v.Dtype]
			b.Stats[i].Merge(pack(b.Vectors[i][r*v.RowBytes():], src))
		}
	}
	return b
}

// packHundreds makes whole numbers of a normal distribution.
func packHundreds(dst []byte, src []float32) VectorStats {
	for i := range src {
		src[i] = float32(int32(100 * src[i]))
	}
	return PackI32(dst, src)
}

func fillScalars(column any, c Scalar, first int64, rows int, rng *rand.Rand) {
	for r := range rows {
		switch column := column.(type) {
		case []int64:
			column[r] = first + int64(r)
		case []int32:
			column[r] = rng.Int32N(1000)
			if c.Name == "pos" || c.Name == "n_tokens" {
				column[r] = map[string]int32{"pos": 4, "n_tokens": 5}[c.Name]
			}
		case []float32:
			column[r] = rng.Float32()
		case []float64:
			column[r] = rng.NormFloat64()
		case []bool:
			column[r] = rng.IntN(2) == 1
		case []string:
			column[r] = fmt.Sprintf("%s %d", c.Name, rng.IntN(9))
		}
	}
}

// blocksOf cuts rows into blocks.
func blocksOf(s Schema, rows int) []*Block {
	var blocks []*Block
	for first := 0; first < rows; first += RowGroupRows {
		blocks = append(blocks, fillBlock(s, int64(first), min(RowGroupRows, rows-first)))
	}
	return blocks
}

func writeShard(t testing.TB, w io.Writer, s Schema, blocks []*Block) Footer {
	t.Helper()
	sw, err := NewWriter(w, s, testID)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		if err := sw.WriteBlock(b); err != nil {
			t.Fatal(err)
		}
	}
	f, err := sw.Close()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func shardBytes(t testing.TB, s Schema, blocks []*Block) []byte {
	t.Helper()
	var buf bytes.Buffer
	if f := writeShard(t, &buf, s, blocks); f.Size != int64(buf.Len()) {
		t.Fatalf("footer says %d bytes, %d were written", f.Size, buf.Len())
	}
	return buf.Bytes()
}

func newMapped(b []byte) (io.ReaderAt, int64) {
	return mappedBytes{bytes.NewReader(b), b}, int64(len(b))
}

// mappedBytes is a file in memory that shows its bytes.
type mappedBytes struct {
	*bytes.Reader
	b []byte
}

func (m mappedBytes) Bytes() []byte        { return m.b }
func (m mappedBytes) Need(off, size int64) {}
func (m mappedBytes) Close() error         { return nil }

// readers opens the same bytes with and without a map.
func readers(t testing.TB, b []byte) map[string]*Reader {
	t.Helper()
	out := map[string]*Reader{}
	src, size := newMapped(b)
	for name, src := range map[string]io.ReaderAt{"mapped": src, "read": bytes.NewReader(b)} {
		r, err := NewReader(src, size)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = r
	}
	return out
}

// wantBlocks compares everything a reader says with the blocks that were written.
func wantBlocks(t testing.TB, r *Reader, s Schema, blocks []*Block) {
	t.Helper()
	if !r.Schema().Equal(s) || r.Identity() != testID || r.NumGroups() != len(blocks) {
		t.Fatalf("schema %v, identity %v, %d groups", r.Schema(), r.Identity(), r.NumGroups())
	}
	stats := make([]VectorStats, len(s.Vectors))
	var buf []byte
	for g, b := range blocks {
		if r.GroupRows(g) != b.Rows {
			t.Fatalf("group %d has %d rows, want %d", g, r.GroupRows(g), b.Rows)
		}
		wantScalars(t, r, g, b)
		for i, v := range s.Vectors {
			stats[i].Merge(b.Stats[i])
			want := b.Vectors[i][:b.Rows*v.RowBytes()]
			var err error
			if buf, err = r.Vector(g, i, buf); err != nil || !bytes.Equal(buf, want) {
				t.Fatalf("group %d, %s: %d bytes differ, %v", g, v.Name, len(buf), err)
			}
			wantPages(t, r, g, i, want)
		}
	}
	for i := range stats {
		if r.Stats(i) != stats[i] {
			t.Errorf("stats of %s: %+v, want %+v", s.Vectors[i].Name, r.Stats(i), stats[i])
		}
	}
}

func wantPages(t testing.TB, r *Reader, g, col int, want []byte) {
	t.Helper()
	var got []byte
	for page, err := range r.Pages(g, col) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page...)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("group %d, column %d: pages differ", g, col)
	}
}

func wantScalars(t testing.TB, r *Reader, g int, b *Block) {
	t.Helper()
	got, err := r.Scalars(g)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range r.Schema().Scalars {
		want := reflect.ValueOf(b.Scalars[i]).Slice(0, b.Rows).Interface()
		if !reflect.DeepEqual(got[i], want) {
			t.Fatalf("group %d, column %s: %v, want %v", g, c.Name, got[i], want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	s := testSchema()
	for _, rows := range []int{0, 1, 63, 511, 512, 513, 1100} {
		t.Run(fmt.Sprint(rows), func(t *testing.T) {
			blocks := blocksOf(s, rows)
			for name, r := range readers(t, shardBytes(t, s, blocks)) {
				t.Run(name, func(t *testing.T) { wantBlocks(t, r, s, blocks) })
			}
		})
	}
}

func TestWidths(t *testing.T) {
	for _, width := range []int{1, 2, 3, 7, 64, 1023, 1024, 1025, 4096} {
		for _, d := range []Dtype{F16, F32} {
			s := Schema{Scalars: BaseScalars(), Vectors: []Vector{{"resid_0", width, d}}}
			blocks := blocksOf(s, 77)
			for _, r := range readers(t, shardBytes(t, s, blocks)) {
				wantBlocks(t, r, s, blocks)
			}
		}
	}
}

func TestNoVectors(t *testing.T) {
	s := Schema{Scalars: BaseScalars()}
	blocks := blocksOf(s, 600)
	for _, r := range readers(t, shardBytes(t, s, blocks)) {
		wantBlocks(t, r, s, blocks)
	}
}

func TestSameBytes(t *testing.T) {
	s := testSchema()
	if !bytes.Equal(shardBytes(t, s, blocksOf(s, 700)), shardBytes(t, s, blocksOf(s, 700))) {
		t.Error("two writers of the same rows made different bytes")
	}
}

// A mapped page is the file's own memory, not a copy.
func TestZeroCopy(t *testing.T) {
	s := testSchema()
	file := shardBytes(t, s, blocksOf(s, 600))
	src, size := newMapped(file)
	r, err := NewReader(src, size)
	if err != nil {
		t.Fatal(err)
	}
	v, err := r.Vector(1, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(file, v)
	if at < 0 || &file[at] != &v[0] {
		t.Error("the vector is a copy")
	}
	if at%alignment != 0 {
		t.Errorf("the vector begins at byte %d", at)
	}
}

func TestMeasure(t *testing.T) {
	s := testSchema()
	b := fillBlock(s, 3, 100)
	want := b.Stats
	if b.Measure(s); !reflect.DeepEqual(b.Stats, want) {
		t.Errorf("%+v, want %+v", b.Stats, want)
	}
}

// A result of one column passed as the buffer of another is a mistake that must not write to a mapped file.
func TestMappedResultAsBuffer(t *testing.T) {
	s := testSchema()
	st, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	blocks := blocksOf(s, 600)
	if err := store.Put(t.Context(), st, "k", shardBytes(t, s, blocks)); err != nil {
		t.Fatal(err)
	}
	r, err := Open(t.Context(), st, "k")
	if err != nil {
		t.Fatal(err)
	}
	wantBlocks(t, r, s, blocks)
	if !r.Mapped() {
		t.Error("the file is not mapped")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// The fast sums are those of the definition, bit for bit, with vector registers and without.
func TestMeasureFast(t *testing.T) {
	defer func(had bool) { vectorUnit = had }(vectorUnit)
	testMeasureFast(t)
	vectorUnit = false
	testMeasureFast(t)
}

func testMeasureFast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := Vector{Width: rapid.IntRange(1, 40).Draw(t, "width"), Dtype: rapid.SampledFrom([]Dtype{F16, F32}).Draw(t, "dtype")}
		rows := rapid.IntRange(0, 5).Draw(t, "rows")
		values := rapid.SliceOfN(rapid.Byte(), rows*v.RowBytes(), rows*v.RowBytes()).Draw(t, "values")
		var fast, slow VectorStats
		measureInto(&fast, values, v)
		for r := range rows {
			slow.Merge(measureRow(values[r*v.RowBytes():(r+1)*v.RowBytes()], v.Dtype))
		}
		if fast != slow {
			t.Fatalf("fast %+v, slow %+v", fast, slow)
		}
	})
}
