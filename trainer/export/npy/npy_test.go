package npy

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"actfleet/internal/array"
)

func TestWhatIsWrittenReadsBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.npz")
	list := []array.Array{array.Of("w", []int{2, 2}, []float32{1, 2, 3, 4}), array.Of("k", nil, []int64{7}), array.Of("none", []int{0}, []float32{})}
	if err := Save(path, list); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if b := got[a.Name]; !slices.Equal(a.Bytes(), b.Bytes()) || !slices.Equal(a.Shape, b.Shape) || a.Dtype != b.Dtype {
			t.Errorf("%s came back as %v", a.Name, b)
		}
	}
}

// file is a .npy file of a version with a header and values.
func file(version byte, header, values string) []byte {
	size := []byte{byte(len(header)), 0}
	if version > 1 {
		size = append(size, 0, 0)
	}
	return append(append([]byte(magic+string([]byte{version, 0})), size...), header+values...)
}

func TestFormsOfNumpyAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want []float32
	}{
		"Fortran's order":     {file(1, "{'descr': '<f2', 'fortran_order': True, 'shape': (2, 2), }", "\x00\x3c\x00\x40\x00\x42\x00\x44"), []float32{1, 3, 2, 4}},
		"version 2":           {file(2, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "\x00\x00\x80\x3f"), []float32{1}},
		"one value of double": {file(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (), }", "\x00\x00\x00\x00\x00\x00\xf0\x3f"), []float32{1}},
	} {
		a, err := Parse("a", c.data)
		if err != nil {
			t.Fatal(name, err)
		}
		if got, err := a.Float32s(); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestWhatIsNoArrayIsRefusedByName(t *testing.T) {
	for says, data := range map[string][]byte{
		`">f4"`:              file(1, "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", "1234"),
		`"|O"`:               file(1, "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "12345678"),
		"3 bytes for":        file(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "123"),
		"0 bytes for":        file(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }", ""),
		"a dimension of":     file(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", ""),
		"header is cut off":  append([]byte(magic), 2, 0, 255, 255, 255, 255),
		`begins with "PK"`:   []byte("PK"),
		"its header is \"{}": file(1, "{}", ""),
	} {
		if a, err := Parse("a", data); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, %v, want %q", a, err, says)
		}
	}
}

func FuzzParse(f *testing.F) {
	data, err := Format(array.Of("a", []int{2}, []float32{1, 2}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(file(2, "{'descr': '<f2', 'fortran_order': True, 'shape': (2, 2), }", "\x00\x3c\x00\x40\x00\x42\x00\x44"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if a, err := Parse("a", data); err == nil && len(a.Bytes()) > len(data) {
			t.Error("more values than bytes")
		}
	})
}
