package gguf

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const tiny = "testdata/tiny.gguf" // made by scripts/ref/gguf_ref.py, with the values beside it

func openTiny(t testing.TB) *File {
	t.Helper()
	f, err := Open(tiny)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestMetadata(t *testing.T) {
	f := openTiny(t)
	for key, want := range map[string]any{
		"general.architecture":      "llama",
		"llama.block_count":         int64(2),
		"x.i8":                      int64(-3),
		"x.u64":                     int64(1 << 40),
		"x.f64":                     0.1,
		"llama.rope.freq_base":      10000.0,
		"tokenizer.ggml.tokens":     []string{"<unk>", "▁a", "b"},
		"tokenizer.ggml.scores":     []float64{0, -1.5, -2.5},
		"tokenizer.ggml.token_type": []int64{2, 1, 1},

		"tokenizer.ggml.add_bos_token": true,
	} {
		if got := f.head.meta[key]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", key, got, want)
		}
		if !slices.Contains(f.Keys(), key) {
			t.Errorf("%s is not among the keys", key)
		}
	}
	if _, ok := Get[string](f, "llama.block_count"); ok {
		t.Error("a number was given as a string")
	}
	if n, ok := Get[int64](f, "llama.block_count"); !ok || n != 2 {
		t.Error("a number was not given")
	}
}

// named are the types that the file of llama.cpp's Python package has, one tensor each.
var named = []Dtype{F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4K, Q5K, Q6K}

// TestValues compares with what llama.cpp's Python package reads from the file.
func TestValues(t *testing.T) {
	f := openTiny(t)
	z, err := os.Open("testdata/tiny.values.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	unzipped, err := gzip.NewReader(z)
	if err != nil {
		t.Fatal(err)
	}
	want, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Tensors()) != len(named) {
		t.Fatalf("%d tensors", len(f.Tensors()))
	}
	for _, info := range f.Tensors() {
		got, err := f.Float32s(info.Name)
		if err != nil || info.Dtype.String() != info.Name || info.Shape[0] != 2 {
			t.Fatalf("%+v: %v", info, err)
		}
		for i, v := range got {
			if bits := binary.LittleEndian.Uint32(want[4*i:]); math.Float32bits(v) != bits {
				t.Fatalf("%s value %d: %g, want %g", info.Name, i, v, math.Float32frombits(bits))
			}
		}
		want = want[4*len(got):]
	}
	if len(want) > 0 {
		t.Errorf("%d bytes of values are left", len(want))
	}
}

// slowValue is value i of a block by the definition in ggml-common.h, in double
// precision.
func slowValue(d Dtype, b []byte, i int) float64 {
	f16 := func(at int) float64 { return float64(half(b[at:])) }
	bit := func(at, n int) int { return int(b[at+n/8]>>(n%8)) & 1 }
	nibble := func(at, n, of int) int { // n of the nibbles whose low halves come first
		if n < of {
			return int(b[at+n] & 15)
		}
		return int(b[at+n-of] >> 4)
	}
	switch d {
	case F32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case F16:
		return f16(0)
	case BF16:
		return float64(math.Float32frombits(uint32(b[0])<<16 | uint32(b[1])<<24))
	case Q4_0:
		return f16(0) * float64(nibble(2, i, 16)-8)
	case Q4_1:
		return f16(0)*float64(nibble(4, i, 16)) + f16(2)
	case Q5_0:
		return f16(0) * float64(nibble(6, i, 16)+16*bit(2, i)-16)
	case Q5_1:
		return f16(0)*float64(nibble(8, i, 16)+16*bit(4, i)) + f16(2)
	case Q8_0:
		return f16(0) * float64(int8(b[2+i]))
	case Q4K, Q5K:
		j := i / 32
		scale, low := int(b[4+j%4]), int(b[8+j%4])
		if j >= 4 { // four bits in the last third, two above those of j-4
			scale, low = int(b[12+j-4]&15)+16*(scale>>6), int(b[12+j-4]>>4)+16*(low>>6)
		}
		at, q := 16, 0
		if d == Q5K {
			at, q = 48, 16*(int(b[16+i%32]>>j)&1)
		}
		q += nibble(at+32*(j/2), i%64, 32)
		return f16(0)*float64(scale&63)*float64(q) - f16(2)*float64(low&63)
	}
	// Q6_K
	part, in := i/128, i%128
	q := nibble(64*part, in, 64) + 16*(int(b[128+32*part+in%32]>>(2*(in/32)))&3)
	return f16(208) * float64(int8(b[192+i/16])) * float64(q-32)
}

func TestDequantizeEqualsDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, d := range named {
		l := layouts[d]
		for range 200 {
			block := make([]byte, l.bytes)
			for i := range block {
				block[i] = byte(r.IntN(256))
			}
			got := make([]float32, l.values)
			if err := Dequantize(got, block, d); err != nil {
				t.Fatal(err)
			}
			for i, v := range got {
				want := slowValue(d, block, i)
				near := math.Abs(float64(v)-want) <= 1e-6*(math.Abs(want)+float64(scaleOf(d, block)))
				if !near && !math.IsNaN(want) && !math.IsInf(want, 0) && !math.IsInf(float64(v), 0) && !math.IsNaN(float64(v)) {
					t.Fatalf("%s value %d: %g, want %g", d, i, v, want)
				}
			}
		}
	}
	if err := Dequantize(make([]float32, 32), make([]byte, 17), Q4_0); !errors.Is(err, ErrCorrupt) {
		t.Errorf("wrong length: %v", err)
	}
	if err := Dequantize(nil, nil, 9); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "Q8_1") {
		t.Errorf("unknown type: %v", err)
	}
}

// scaleOf bounds the terms whose difference a value with a minimum is.
func scaleOf(d Dtype, b []byte) float32 {
	switch d {
	case Q4_1, Q5_1:
		return 31*abs(half(b)) + abs(half(b[2:]))
	case Q4K, Q5K:
		return 63 * (31*abs(half(b)) + abs(half(b[2:])))
	}
	return 0
}

func abs(v float32) float32 { return float32(math.Abs(float64(v))) }

// writer writes hostile files.
type writer struct{ bytes.Buffer }

func (w *writer) u32(v uint32) *writer { _ = binary.Write(w, binary.LittleEndian, v); return w }
func (w *writer) u64(v uint64) *writer { _ = binary.Write(w, binary.LittleEndian, v); return w }
func (w *writer) text(s string) *writer {
	w.u64(uint64(len(s))).WriteString(s)
	return w
}

func start(version uint32, tensors, keys uint64) *writer {
	w := &writer{}
	w.WriteString("GGUF")
	return w.u32(version).u64(tensors).u64(keys)
}

func (w *writer) tensor(name string, d Dtype, offset uint64, dims ...uint64) *writer {
	w.text(name).u32(uint32(len(dims)))
	for _, n := range dims {
		w.u64(n)
	}
	return w.u32(uint32(d)).u64(offset)
}

// data pads to the alignment and adds n bytes.
func (w *writer) data(n int) *writer {
	w.Write(make([]byte, (32-w.Len()%32)%32+n))
	return w
}

func TestRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		file *writer
		want string
		kind error
	}{
		"magic":       {&writer{}, "does not begin with GGUF", ErrCorrupt},
		"version 1":   {start(1, 0, 0), "version 1", ErrUnsupported},
		"big-endian":  {start(3<<24, 0, 0), "big-endian", ErrUnsupported},
		"counts":      {start(3, 1<<40, 0), "tensors", ErrCorrupt},
		"short":       {start(3, 0, 1).u64(5), "ends behind the file", ErrCorrupt},
		"empty key":   {start(3, 0, 1).text("").u32(4).u32(1), "name of 0 bytes", ErrCorrupt},
		"key twice":   {start(3, 0, 2).text("a").u32(4).u32(1).text("a").u32(4).u32(1), "there twice", ErrCorrupt},
		"value type":  {start(3, 0, 1).text("a").u32(99).u32(1), "value of type 99", ErrCorrupt},
		"huge number": {start(3, 0, 1).text("a").u32(10).u64(1 << 63), "too large", ErrCorrupt},
		"huge array":  {start(3, 0, 1).text("a").u32(9).u32(8).u64(1 << 60), "array of 1152921504606846976 elements", ErrCorrupt},
		"nested":      {start(3, 0, 1).text("a").u32(9).u32(9).u64(1).data(64), "array of type 9", ErrUnsupported},
		"bool":        {start(3, 0, 1).text("a").u32(7).u32(2), "neither 0 nor 1", ErrCorrupt},
		"split":       {start(3, 0, 1).text("split.count").u32(4).u32(3), "first of 3 files", ErrUnsupported},
		"alignment":   {start(3, 0, 1).text("general.alignment").u32(4).u32(7), "general.alignment is 7", ErrCorrupt},
		"type":        {start(3, 1, 0).tensor("w", 9, 0, 256).data(84), `"w" is Q8_1`, ErrUnsupported},
		"no type":     {start(3, 1, 0).tensor("w", 777, 0, 256).data(84), `"w" is type 777`, ErrUnsupported},
		"dimensions":  {start(3, 1, 0).tensor("w", F32, 0, 1, 1, 1, 1, 1).data(64), "has 5 dimensions", ErrCorrupt},
		"zero":        {start(3, 1, 0).tensor("w", F32, 0, 0).data(64), "dimension of 0", ErrCorrupt},
		"overflow":    {start(3, 1, 0).tensor("w", F32, 0, 1<<40, 1<<40, 1<<40).data(64), "ends behind the file", ErrCorrupt},
		"row":         {start(3, 1, 0).tensor("w", Q8_0, 0, 33).data(64), "whole blocks of Q8_0", ErrCorrupt},
		"half":        {start(3, 1, 0).tensor("w", F32, 0, 17).data(64), "half downloaded", ErrCorrupt},
		"offset":      {start(3, 1, 0).tensor("w", F32, 1<<63, 4).data(64), "ends behind", ErrCorrupt},
		"unaligned":   {start(3, 1, 0).tensor("w", F32, 8, 4).data(64), "not at a multiple of 32", ErrCorrupt},
		"twice":       {start(3, 2, 0).tensor("w", F32, 0, 4).tensor("w", F32, 32, 4).data(64), "there twice", ErrCorrupt},
		"over":        {start(3, 2, 0).tensor("w", F32, 0, 16).tensor("v", F32, 32, 4).data(64), "over another", ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.gguf")
			if err := os.WriteFile(path, append(c.file.Bytes(), 0), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %v with %q", err, c.kind, c.want)
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("folder: %v", err)
	}
	empty := filepath.Join(t.TempDir(), "empty.gguf")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(empty); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "empty file") {
		t.Errorf("empty file: %v", err)
	}
}

func TestTruncated(t *testing.T) {
	whole, err := os.ReadFile(tiny)
	if err != nil {
		t.Fatal(err)
	}
	last, err := parse(whole)
	if err != nil {
		t.Fatal(err)
	}
	end := last.base + last.tensors[len(last.tensors)-1].begin + last.tensors[len(last.tensors)-1].Size
	for n := range end {
		if _, err := parse(whole[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d of %d bytes: %v", n, end, err)
		}
	}
}

func TestClosed(t *testing.T) {
	f := openTiny(t)
	if _, err := f.Float32s("none"); !errors.Is(err, ErrNoTensor) {
		t.Errorf("no tensor: %v", err)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Float32s("F32"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	whole, err := os.ReadFile(tiny)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(start(3, 1, 1).text("a").u32(9).u32(8).u64(2).text("x").text("y").tensor("w", Q8_0, 0, 32, 2).data(68).Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		head, err := parse(data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("%v is neither corrupt nor unsupported", err)
			}
			return
		}
		file := &File{data: data, head: head}
		for _, info := range file.Tensors() {
			if v, err := file.Float32s(info.Name); err != nil || len(v) != info.Values() {
				t.Fatalf("%+v: %d values, %v", info, len(v), err)
			}
		}
	})
}

func BenchmarkDequantize(b *testing.B) {
	for d, l := range layouts {
		b.Run(d.String(), func(b *testing.B) {
			dst := make([]float32, 1<<16)
			src := make([]byte, len(dst)/l.values*l.bytes)
			b.SetBytes(int64(4 * len(dst)))
			for b.Loop() {
				if err := Dequantize(dst, src, d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
