package mapped

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cut maps a file of n bytes and shortens it to keep.
func cut(t *testing.T, n int, keep int64) (path string, data []byte) {
	t.Helper()
	path = write(t, filepath.Join(t.TempDir(), "shard"), strings.Repeat("x", n))
	data, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Close(data); err != nil {
			t.Error(err)
		}
	})
	if err := os.Truncate(path, keep); err != nil {
		t.Fatal(err)
	}
	return path, data
}

func TestGuardNamesTheFileThatBecameShorter(t *testing.T) {
	path, data := cut(t, 64<<10, 4096)
	touch := map[string]func(b []byte) int{
		"a load":   func(b []byte) int { return int(b[len(b)-1]) },
		"a copy":   func(b []byte) int { return copy(make([]byte, len(b)), b) },
		"a hash":   func(b []byte) int { sum := sha256.Sum256(b); return int(sum[0]) },
		"a string": func(b []byte) int { return len(strings.Clone(unsafe.String(&b[0], len(b)))) },
	}
	for name, use := range touch {
		read := func(b []byte) (n int, err error) {
			defer Guard(&err)()
			return use(b), nil
		}
		if _, err := read(data); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := read(data[:4096]); err != nil {
			t.Errorf("%s of what is left: %v", name, err)
		}
	}
}

func TestGuardLetsOtherPanicsPass(t *testing.T) {
	var none *[4]int
	var sink byte
	_, data := cut(t, 4096, 4096)
	gone, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Munmap(gone); err != nil {
		t.Fatal(err)
	}
	faults := map[string]func(){
		"a value":         func() { panic("own") },
		"an index":        func() { sink = data[len(data)] },
		"nil":             func() { none[1]++ },
		"another address": func() { sink = gone[0] },
	}
	for name, fail := range faults {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			var err error
			defer Guard(&err)()
			fail()
		}()
	}
	if debug.SetPanicOnFault(false) || sink != 0 {
		t.Error("the guard outlived its function")
	}
}

func TestGuardKeepsTheError(t *testing.T) {
	want := errors.New("own")
	got := func() (err error) {
		defer Guard(&err)()
		return want
	}()
	if !errors.Is(got, want) {
		t.Error(got)
	}
}

func BenchmarkGuard(b *testing.B) {
	for range b.N {
		_ = func() (err error) {
			defer Guard(&err)()
			return nil
		}()
	}
}
