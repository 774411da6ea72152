package shard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"actfleet/shard/store"
	"actfleet/shard/store/fault"
	"actfleet/shard/store/mem"
)

// readAll reads everything there is, and returns the first error.
func readAll(r io.ReaderAt, size int64) error {
	sr, err := NewReader(r, size)
	if err != nil {
		return err
	}
	for g := range sr.NumGroups() {
		if _, err := sr.Scalars(g); err != nil {
			return err
		}
		for col := range sr.Schema().Vectors {
			if _, err := measureGroup(sr, g, col); err != nil {
				return err
			}
			if _, err := sr.Vector(g, col, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// known reports whether an error is one that a caller can decide on.
func known(err error) bool {
	return err == nil || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrSchema)
}

// smallShard has all kinds of pages in few bytes.
func smallShard(t testing.TB) []byte {
	s := testSchema()
	s.Vectors = []Vector{{"resid_0", 3, F16}, {"fc1_0", 2, F32}}
	return shardBytes(t, s, blocksOf(s, 9))
}

func FuzzReader(f *testing.F) {
	f.Add(smallShard(f))
	f.Add(shardBytes(f, Schema{Scalars: BaseScalars()}, nil))
	f.Add([]byte("PAR1\x00\x00\x00\x00PAR1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		plain := readAll(bytes.NewReader(data), int64(len(data)))
		mapped, size := newMapped(data)
		err := readAll(mapped, size)
		if !bytes.HasPrefix(data, []byte("PAR1")) { // which costs a request of its own where the file is not mapped
			plain = err
		}
		if !known(err) || !known(plain) || (err == nil) != (plain == nil) {
			t.Errorf("mapped: %v, read: %v", err, plain)
		}
	})
}

// Every byte is changed in turn: no panic, no unknown error. Damage to the headers and the footer is mostly noticed;
// damage to values is the manifest's business.
func TestFlippedBytes(t *testing.T) {
	good := smallShard(t)
	noticed := 0
	for i := range good {
		for _, mask := range []byte{0x01, 0x80, 0xff} {
			bad := bytes.Clone(good)
			bad[i] ^= mask
			err := readAll(bytes.NewReader(bad), int64(len(bad)))
			if !known(err) {
				t.Fatalf("byte %d ^ %#x: %v", i, mask, err)
			}
			if err != nil {
				noticed++
			}
		}
	}
	if noticed < len(good)/2 {
		t.Errorf("%d of %d changes noticed", noticed, 3*len(good))
	}
}

func TestTruncated(t *testing.T) {
	good := smallShard(t)
	for n := range good {
		if err := readAll(bytes.NewReader(good[:n]), int64(n)); err == nil || !known(err) {
			t.Fatalf("%d of %d bytes: %v", n, len(good), err)
		}
	}
}

// allocated is what f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// withFooter makes a file of a footer.
func withFooter(footer []byte) []byte {
	file := append([]byte("PAR1"), footer...)
	return append(binary.LittleEndian.AppendUint32(file, uint32(len(footer))), "PAR1"...)
}

// A few bytes that claim much do not make the reader allocate much.
func TestClaims(t *testing.T) {
	huge := binary.AppendUvarint(nil, 1<<31-1)
	deep := bytes.Repeat([]byte{0x1c}, 100_000)
	tests := map[string][]byte{
		"schema elements": append([]byte{0x29, 0xfc}, huge...),
		"row groups":      append([]byte{0x49, 0xfc}, huge...),
		"empty elements":  append(append([]byte{0x29, 0xfc}, binary.AppendUvarint(nil, 50_000)...), make([]byte, 60_000)...),
		"empty groups":    append(append([]byte{0x49, 0xfc}, binary.AppendUvarint(nil, 50_000)...), make([]byte, 60_000)...),
		"string":          append([]byte{0x69, 0x28}, huge...),
		"map":             append(append([]byte{0xfb}, huge...), 0x88),
		"depth":           deep,
		"binary":          append([]byte{0xf8}, huge...),
	}
	for name, footer := range tests {
		file := withFooter(footer)
		var err error
		n := allocated(func() { err = readAll(bytes.NewReader(file), int64(len(file))) })
		if err == nil || !known(err) {
			t.Errorf("%s: %v", name, err)
		}
		if limit := uint64(64*len(file) + 100_000); n > limit {
			t.Errorf("%s: %d bytes allocated for a file of %d", name, n, len(file))
		}
	}
	many := "[" + strings.Repeat("{},", 100_000) + "{}]"
	pairs := map[string]string{metaVersion: Version, metaUnit: "0", metaVectors: many}
	if n := allocated(func() { parseMetadata(pairs) }); n > 1_000_000 {
		t.Errorf("metadata: %d bytes allocated", n)
	}
	file := append([]byte("PAR1"), 0xff, 0xff, 0xff, 0x7f)
	file = append(file, "PAR1"...)
	if n := allocated(func() { readAll(bytes.NewReader(file), int64(len(file))) }); n > 100_000 {
		t.Errorf("footer length: %d bytes allocated", n)
	}
}

// A page that claims to unpack to much is refused before it is unpacked.
func TestPageClaims(t *testing.T) {
	page := func(size, plain, values int64, kind int64, body ...byte) []byte {
		b := binary.AppendVarint([]byte{0x15}, kind)
		b = binary.AppendVarint(append(b, 0x15), plain)
		b = binary.AppendVarint(append(b, 0x15), size)
		b = append(b, map[int64]byte{2: 0x4c, 3: 0x5c}[kind])
		b = binary.AppendVarint(append(b, 0x15), values)
		return append(append(b, 0, 0), body...)
	}
	bomb := binary.AppendUvarint(nil, 1<<31)
	tests := map[string][]byte{
		"snappy":     page(int64(len(bomb)), 1<<31, 5, 3, bomb...),
		"size":       page(1<<40, 8, 5, 3),
		"negative":   page(-1, 8, 5, 3),
		"values":     page(0, 0, 1<<40, 3),
		"dictionary": page(5, 4, 1<<40, 2, 4, 0, 0, 0, 0),
	}
	for name, data := range tests {
		for _, typ := range []Type{Int64, String, Bool} {
			var err error
			n := allocated(func() { _, err = decodeScalars(data, 1, typ, 5) })
			if !errors.Is(err, ErrCorrupt) || n > 50_000 {
				t.Errorf("%s of %s: %v, %d bytes allocated", name, typ, err, n)
			}
		}
	}
}

func TestHybridIndexes(t *testing.T) {
	tests := []struct {
		name string
		b    []byte
		n    int
		want string
	}{
		{"run", []byte{3, 10, 5}, 5, "[5 5 5 5 5]"},
		{"packed", []byte{3, 3, 0x88, 0xc6, 0xfa}, 8, "[0 1 2 3 4 5 6 7]"},
		{"both", []byte{1, 3, 0b01010101, 4, 1}, 10, "[1 0 1 0 1 0 1 0 1 1]"},
		{"width 0", []byte{0, 8}, 4, "[0 0 0 0]"},
		{"wide", []byte{32, 2, 1, 2, 3, 4}, 1, "[67305985]"},
	}
	for _, tt := range tests {
		got, err := hybrid(tt.b, tt.n)
		if err != nil || fmt.Sprint(got) != tt.want {
			t.Errorf("%s: %v, %v, want %s", tt.name, got, err, tt.want)
		}
	}
	for _, bad := range [][]byte{nil, {33, 2, 0}, {3}, {3, 10}, {3, 3, 1}, {3, 0, 0}, {3, 0xff}} {
		if got, err := hybrid(bad, 5); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%v: %v, %v", bad, got, err)
		}
	}
}

// Writing and reading over a store that fails at every operation in turn: an error, never a shard that is half there.
func TestStoreFaults(t *testing.T) {
	blocks := blocksOf(testSchema(), 700)
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			inner := mem.New(nil)
			st := fault.Wrap(inner, fault.Faults{FailAt: n, After: after})
			err := commitAndRead(t, st, blocks)
			if st.Fired() && err == nil || err != nil && !errors.Is(err, fault.ErrInjected) {
				t.Fatalf("operation %d: %v", n, err)
			}
			if o, err := inner.Open(t.Context(), faultKey); err == nil {
				if err := readAll(o, o.Size()); err != nil {
					t.Fatalf("operation %d: a bad shard was committed: %v", n, err)
				}
			}
			if !st.Fired() {
				break
			}
		}
	}
}

const faultKey = "acts/unit-000001.parquet"

func commitAndRead(t *testing.T, st store.Store, blocks []*Block) error {
	pending, err := st.Create(t.Context(), faultKey)
	if err != nil {
		return err
	}
	w, err := NewWriter(pending, testSchema(), testID)
	if err != nil {
		return errors.Join(err, pending.Abort())
	}
	for _, b := range blocks {
		if err := w.WriteBlock(b); err != nil {
			return errors.Join(err, pending.Abort())
		}
	}
	if _, err := w.Close(); err != nil {
		return errors.Join(err, pending.Abort())
	}
	if err := pending.Commit(t.Context()); err != nil {
		return err
	}
	o, err := st.Open(t.Context(), faultKey)
	if err != nil {
		return err
	}
	return errors.Join(readAll(o, o.Size()), o.Close())
}

func TestWriterRefuses(t *testing.T) {
	s := testSchema()
	full, short := fillBlock(s, 0, RowGroupRows), fillBlock(s, 512, 5)
	tests := map[string]func(w *Writer) error{
		"follows one of fewer": func(w *Writer) error { return errors.Join(w.WriteBlock(short), w.WriteBlock(full)) },
		"statistics of column": func(w *Writer) error { b := fillBlock(s, 0, 5); b.Stats[1].Count = 4; return w.WriteBlock(b) },
		"holds 3 bytes": func(w *Writer) error {
			b := fillBlock(s, 0, 5)
			b.Vectors[0] = b.Vectors[0][:3]
			return w.WriteBlock(b)
		},
		"int32 values in a": func(w *Writer) error { b := fillBlock(s, 0, 5); b.Scalars[0] = b.Scalars[1]; return w.WriteBlock(b) },
		"block of 600 rows": func(w *Writer) error { b := fillBlock(s, 0, 5); b.Rows = 600; return w.WriteBlock(b) },
		"is closed":         func(w *Writer) error { _, err := w.Close(); return errors.Join(err, w.WriteBlock(full)) },
		"the schema has":    func(w *Writer) error { b := fillBlock(s, 0, 5); b.Stats = nil; return w.WriteBlock(b) },
	}
	for want, use := range tests {
		w, err := NewWriter(io.Discard, s, testID)
		if err != nil {
			t.Fatal(err)
		}
		if err := use(w); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if _, err := w.Close(); err == nil {
			t.Errorf("%s: closed without an error", want)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	tests := map[string]func(*Schema){
		"first columns": func(s *Schema) { s.Scalars[0].Type = Int32 },
		"two columns":   func(s *Schema) { s.Vectors[0].Name = "LABEL" },
		"printable":     func(s *Schema) { s.Vectors[0].Name = "a\nb" },
		"want 1 to":     func(s *Schema) { s.Vectors[0].Width = 0 },
		"unknown type":  func(s *Schema) { s.Scalars[3].Type = 77 },
	}
	for want, change := range tests {
		s := testSchema()
		change(&s)
		if _, err := NewWriter(io.Discard, s, testID); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
