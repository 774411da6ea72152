package archive

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatIsWrittenReadsBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.zip")
	if err := Save(path, []Part{{"a/b", []byte("one")}, {"c", nil}}); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil || string(got["a/b"]) != "one" || len(got["c"]) != 0 || len(got) != 2 {
		t.Errorf("%q, %v", got, err)
	}
}

// packed is an archive with one deflated part, as numpy.savez_compressed writes.
func packed(t testing.TB, data []byte) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	p, err := w.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestPackedPartsAreRead(t *testing.T) {
	want := bytes.Repeat([]byte("0123"), 1000)
	data := packed(t, want)
	got, err := Read(bytes.NewReader(data), int64(len(data)))
	if err != nil || !bytes.Equal(got["a"], want) {
		t.Error(err)
	}
}

func TestSizesThatCannotBeAreRefused(t *testing.T) {
	data := packed(t, []byte("0123"))
	at := bytes.LastIndex(data, []byte("PK\x01\x02")) + 24 // the stated size in the directory
	copy(data[at:], "\xff\xff\xff\x7f")
	if _, err := Read(bytes.NewReader(data), int64(len(data))); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "size of 2147483647") {
		t.Error(err)
	}
	if _, err := Load(os.DevNull); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(packed(f, []byte("0123")))
	path := filepath.Join(f.TempDir(), "a.zip")
	if err := Save(path, []Part{{"a", []byte("0123")}}); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		parts, err := Read(bytes.NewReader(data), int64(len(data)))
		if err != nil && parts != nil {
			t.Error("parts and an error")
		}
	})
}
