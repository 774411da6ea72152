package pickle

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/internal/archive"
	"actfleet/internal/array"
	"actfleet/internal/safetensors"
)

func none(string) ([]byte, bool) { return nil, false }

// some is a dictionary with a value of every kind that is written.
func some() *Dict {
	d := Of([]array.Array{array.Of("w", []int{2, 1}, []float32{1, 2}), array.Of("k", nil, []int64{7})})
	d.Add("n", 1<<40)
	d.Add("minus", -5)
	d.Add("on", true)
	d.Add("name", "TopK")
	d.Add("inner", &Dict{Keys: []string{"k"}, Values: []any{3}})
	return d
}

func TestWhatIsWrittenReadsBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.pt")
	if err := Save(path, some()); err != nil {
		t.Fatal(err)
	}
	d, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := d.Arrays()["w"].Float32s()
	if err != nil || !slices.Equal(w, []float32{1, 2}) || !slices.Equal(d.Arrays()["w"].Shape, []int{2, 1}) {
		t.Errorf("w is %v, %v", w, err)
	}
	if k, err := d.Arrays()["k"].Int(); err != nil || k != 7 {
		t.Errorf("k is %d, %v", k, err)
	}
	inner, _ := d.Get("inner").(*Dict)
	if d.Get("n") != 1<<40 || d.Get("minus") != -5 || d.Get("on") != true || d.Get("name") != "TopK" || inner.Get("k") != 3 {
		t.Errorf("got %+v", d)
	}
}

// tensor is the code of one array "w" of a storage "0" with a shape of one dimension.
func tensor(class string, offset, n, step byte) string {
	return "\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n" + class +
		"\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQK" + string([]byte{offset}) + "K" + string([]byte{n}) + "\x85K" +
		string([]byte{step}) + "\x85\x89ccollections\nOrderedDict\n)RtRs."
}

// Arrays that begin inside a storage or take every other element of it, as views that were saved, are what they were.
func TestViewsAreRead(t *testing.T) {
	raw := []byte{0, 0x3f, 0x80, 0x3f, 0, 0x40, 0x40, 0x40} // 0.5 1 2 3 in bfloat16
	read := func(string) ([]byte, bool) { return raw, true }
	for _, c := range []struct {
		offset, n, step byte
		want            []float32
	}{{0, 4, 1, []float32{0.5, 1, 2, 3}}, {1, 2, 2, []float32{1, 3}}, {2, 0, 1, []float32{}}, {3, 1, 9, []float32{3}}} {
		d, err := Decode([]byte(tensor("BFloat16Storage", c.offset, c.n, c.step)), read)
		if err != nil {
			t.Fatal(c, err)
		}
		if got, err := d.Arrays()["w"].Float32s(); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%+v gives %v, %v", c, got, err)
		}
	}
	for _, c := range [][3]byte{{0, 5, 1}, {1, 4, 1}, {0, 3, 2}, {9, 1, 1}, {0, 200, 0}} {
		if d, err := Decode([]byte(tensor("BFloat16Storage", c[0], c[1], c[2])), read); !errors.Is(err, ErrFormat) {
			t.Errorf("offset, elements and step %v of four values give %v, %v", c, d, err)
		}
	}
}

func TestWhatIsNoDictionaryIsRefusedByName(t *testing.T) {
	for name, c := range map[string]struct{ code, says string }{
		"a call":                  {"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.", "posix system"},
		"a call of protocol 4":    {"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.", "posix system"},
		"another kind of storage": {tensor("ComplexFloatStorage", 0, 1, 1), `"torch ComplexFloatStorage" is not read`},
		"an object":               {"\x80\x02cmodels\nSAE\n)\x81.", "0x81"},
		"a number":                {"\x80\x02K\x01.", "holds no dictionary"},
		"a long number":           {"\x80\x02}X\x01\x00\x00\x00a\x8a\x09123456789s.", "9 bytes"},
		"an endless loop":         {"\x80\x02" + strings.Repeat("(", maxStack+1), "more than"},
		"nothing":                 {"", "cut off"},
	} {
		read := func(string) ([]byte, bool) { return make([]byte, 8), true }
		if d, err := Decode([]byte(c.code), read); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, %v, want %q", name, d, err, c.says)
		}
	}
	if _, err := Decode([]byte(tensor("FloatStorage", 0, 1, 1)), none); err == nil || !strings.Contains(err.Error(), `lacks the array "0"`) {
		t.Error(err)
	}
}

// Tuples of tuples of tuples, each from the memo, would fill the memory with a few bytes each.
func TestCopiesAreBounded(t *testing.T) {
	code := "\x80\x02}("
	for range 30 {
		code += "(" + strings.Repeat("h\x00", 200) + "tq\x00"
	}
	code = "\x80\x02)q\x000" + code
	if _, err := Decode([]byte(strings.Repeat(code, 1000)), none); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
}

func TestOlderFilesAreNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.pt")
	if err := os.WriteFile(path, []byte("\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); !errors.Is(err, archive.ErrFormat) || !strings.Contains(err.Error(), "torch before 1.6") {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	code, _, err := encode(some())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(code)
	f.Add([]byte("\x80\x02}q\x00X\x01\x00\x00\x00aK\x01s."))
	f.Add([]byte("\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a]\x94(K\x01Ge\x8c\x01bG?\xf0\x00\x00\x00\x00\x00\x00u."))
	f.Add([]byte(tensor("HalfStorage", 1, 2, 1)))
	storage := make([]byte, 64)
	f.Fuzz(func(t *testing.T, code []byte) {
		d, err := Decode(code, func(string) ([]byte, bool) { return storage, true })
		if (d == nil) == (err == nil) {
			t.Fatal("neither dictionary nor error, or both")
		}
		if err != nil {
			return
		}
		for _, a := range d.Arrays() {
			if n := len(a.Bytes()); n > len(storage) || n != array.Elements(a.Shape)*a.Dtype.Size() {
				t.Errorf("%d bytes of a storage of %d for the shape %v of %s", n, len(storage), a.Shape, a.Dtype)
			}
			if a.Dtype == safetensors.F16 {
				_, _ = a.Float32s() // must not panic
			}
		}
	})
}
