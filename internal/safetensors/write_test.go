package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var dtypes = []Dtype{Bool, U8, I8, F8E5M2, F8E4M3, F8E8M0, U16, I16, F16, BF16, U32, I32, F32, U64, I64, F64, C64}

func drawTensors(t *rapid.T) []Tensor {
	names := rapid.SliceOfNDistinct(rapid.StringN(1, 20, -1), 0, 6, rapid.ID).Draw(t, "names")
	var out []Tensor
	for _, n := range names {
		d := rapid.SampledFrom(dtypes).Draw(t, "dtype")
		shape := rapid.SliceOfN(rapid.Int64Range(0, 3), 0, 3).Draw(t, "shape")
		size, _ := byteSize(d, shape)
		out = append(out, Tensor{n, d, shape, rapid.SliceOfN(rapid.Byte(), int(size), int(size)).Draw(t, "data")})
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		tensors := drawTensors(t)
		meta := rapid.MapOfN(rapid.String(), rapid.String(), 0, 3).Draw(t, "meta")
		path := filepath.Join(dir, "x.safetensors")
		if err := Write(path, tensors, meta); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		checkSame(t, f, tensors, meta)
	})
}

func checkSame(t *rapid.T, f *File, tensors []Tensor, meta map[string]string) {
	if len(f.Tensors()) != len(tensors) || len(f.Metadata()) != len(meta) {
		t.Fatalf("%d tensors and %d strings came back", len(f.Tensors()), len(f.Metadata()))
	}
	for k, v := range meta {
		if f.Metadata()[k] != v {
			t.Fatalf("metadata %q = %q, want %q", k, f.Metadata()[k], v)
		}
	}
	for _, want := range tensors {
		info, ok := f.Info(want.Name)
		got, err := f.Bytes(want.Name)
		if !ok || err != nil || info.Dtype != want.Dtype || !slices.Equal(info.Shape, want.Shape) || !bytes.Equal(got, want.Data) {
			t.Fatalf("%q came back as %+v %v", want.Name, info, err)
		}
		if (f.head.base+info.begin)%int64(info.Dtype.Size()) != 0 {
			t.Fatalf("%q is not aligned", want.Name)
		}
	}
}

func TestEncodeDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tensors := drawTensors(t)
		var a, b bytes.Buffer
		if err := Encode(&a, tensors, nil); err != nil {
			t.Fatal(err)
		}
		if err := Encode(&b, rapid.Permutation(tensors).Draw(t, "order"), nil); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Fatal("another order gave other bytes")
		}
	})
}

func TestEncodeRefuses(t *testing.T) {
	ok := Tensor{"a", U8, []int64{1}, []byte{1}}
	for name, ts := range map[string][]Tensor{
		"twice":    {ok, ok},
		"as two":   {ok, {"a", F32, nil, make([]byte, 4)}, {"b", U8, nil, []byte{1}}},
		"reserved": {{"__metadata__", U8, nil, []byte{1}}},
		"no name":  {{"", U8, nil, []byte{1}}},
		"bad name": {{"\xff", U8, nil, []byte{1}}},
		"dtype":    {{"a", "F4", nil, []byte{1}}},
		"short":    {{"a", F32, []int64{2}, make([]byte, 4)}},
		"negative": {{"a", F32, []int64{-1}, nil}},
	} {
		if err := Encode(&bytes.Buffer{}, ts, nil); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// failAfter takes n bytes and then fails, as a full disk does.
type failAfter struct{ n int }

var errFull = errors.New("no space left")

func (f *failAfter) Write(p []byte) (int, error) {
	if len(p) > f.n {
		return f.n, errFull
	}
	f.n -= len(p)
	return len(p), nil
}

func TestEncodeReportsEveryWriteError(t *testing.T) {
	tensors := []Tensor{{"a", F32, []int64{3}, make([]byte, 12)}, {"b", U8, []int64{2}, make([]byte, 2)}}
	var whole bytes.Buffer
	if err := Encode(&whole, tensors, nil); err != nil {
		t.Fatal(err)
	}
	for n := range whole.Len() {
		if err := Encode(&failAfter{n}, tensors, nil); !errors.Is(err, errFull) {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
}

func TestWriteFailureLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.safetensors")
	if err := Write(path, []Tensor{{"a", U8, []int64{1}, []byte{7}}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []Tensor{{"a", U8, []int64{2}, []byte{7}}}, nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Fatalf("a tensor of the wrong size: %v", err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if raw, _ := f.Bytes("a"); !bytes.Equal(raw, []byte{7}) {
		t.Errorf("the old file holds %v", raw)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%d files left", len(left))
	}
}

func TestBytesAfterClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := Write(path, []Tensor{{"a", U8, []int64{1}, []byte{7}}}, nil); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Bytes("b"); !errors.Is(err, ErrNoTensor) {
		t.Errorf("unknown tensor: %v", err)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
	if _, err := f.Bytes("a"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// slowHalf is binary16 by its definition, the reference for halfToFloat.
func slowHalf(h uint16) float64 {
	sign := 1 - 2*float64(h>>15)
	exp, frac := int(h>>10&31), float64(h&1023)
	switch {
	case exp == 31 && frac == 0:
		return math.Inf(int(sign))
	case exp == 31:
		return math.NaN()
	case exp == 0:
		return sign * math.Ldexp(frac, -24)
	}
	return sign * math.Ldexp(1+frac/1024, exp-15)
}

func TestHalfToFloat(t *testing.T) {
	for h := range 1 << 16 {
		want, got := slowHalf(uint16(h)), float64(halfToFloat(uint16(h)))
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) || math.Signbit(got) != (h>>15 == 1) {
			t.Fatalf("%#04x = %v, want %v", h, got, want)
		}
	}
}

func TestToFloat32(t *testing.T) {
	le := binary.LittleEndian
	for d, raw := range map[Dtype][]byte{
		F32:  le.AppendUint32(nil, math.Float32bits(-1.5)),
		F64:  le.AppendUint64(nil, math.Float64bits(-1.5)),
		F16:  {0x00, 0xbe},
		BF16: {0xc0, 0xbf},
	} {
		got, err := ToFloat32(d, raw)
		if err != nil || len(got) != 1 || got[0] != -1.5 {
			t.Errorf("%s: %v, %v", d, got, err)
		}
		if _, err := ToFloat32(d, raw[1:]); err == nil {
			t.Errorf("%s: half an element was read", d)
		}
	}
	if _, err := ToFloat32(I64, make([]byte, 8)); err == nil {
		t.Error("I64 was read as floats")
	}
}
