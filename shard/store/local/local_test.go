package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"actfleet/shard/store"
	"actfleet/shard/store/storetest"
)

// open returns an empty store of one kind, and checks when the test ends that no hidden file is left.
func open(t *testing.T, named bool) *Store {
	t.Helper()
	s, err := New(filepath.Join(t.TempDir(), "new", "run"))
	if err != nil {
		t.Fatal(err)
	}
	if !named && s.named {
		t.Skip("the file system of the temporary directory has no files without a name")
	}
	s.named = named
	return s
}

// kinds runs a test with files without a name and with hidden files.
func kinds(t *testing.T, test func(t *testing.T, named bool)) {
	t.Run("anonymous", func(t *testing.T) { test(t, false) })
	t.Run("named", func(t *testing.T) { test(t, true) })
}

func TestStore(t *testing.T) {
	kinds(t, func(t *testing.T, named bool) {
		storetest.Run(t, func(t *testing.T) store.Store {
			s := open(t, named)
			t.Cleanup(func() { wantNothingHidden(t, s) })
			return s
		})
	})
}

func files(t *testing.T, s *Store) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, s.key(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func wantNothingHidden(t *testing.T, s *Store) {
	t.Helper()
	for _, name := range files(t, s) {
		if strings.HasPrefix(filepath.Base(name), ".") {
			t.Errorf("%s was left behind", name)
		}
	}
}

func TestSweepLeavesTheLiving(t *testing.T) {
	s := open(t, true)
	alive, err := s.Create(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(s.dir, hidden+"DEAD")
	if err := os.WriteFile(dead, []byte("half a shard"), 0o666); err != nil {
		t.Fatal(err)
	}
	other, err := s.Create(t.Context(), "k2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the dead writer's file is still there: %v", err)
	}
	for _, p := range []store.Pending{alive, other} {
		if err := p.Commit(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A hidden file that is already linked to its key is a commit whose writer died before it tidied up.
func TestSweepKeepsTheCommitted(t *testing.T) {
	s := open(t, true)
	dead := filepath.Join(s.dir, hidden+"DEAD")
	if err := os.WriteFile(dead, []byte("shard"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(dead, filepath.Join(s.dir, "k")); err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), s, "k", nil); !errors.Is(err, store.ErrExists) {
		t.Errorf("put: %v, want ErrExists", err)
	}
	got, err := store.Get(t.Context(), s, "k", 100)
	if err != nil || string(got) != "shard" {
		t.Errorf("get: %q, %v", got, err)
	}
	wantNothingHidden(t, s)
}

func TestLostLinkReply(t *testing.T) {
	s := open(t, true)
	d, err := beginNamed(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.drop()
	path := filepath.Join(s.dir, "k")
	for range 2 { // the second call stands for the repetition of a call whose reply was lost
		if err := d.link(path); err != nil {
			t.Errorf("link: %v", err)
		}
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	kinds(t, func(t *testing.T, named bool) {
		s := open(t, named)
		if err := os.Chmod(s.dir, 0o555); err != nil {
			t.Fatal(err)
		}
		if unix.Access(s.dir, unix.W_OK) == nil {
			t.Skip("this user may write everywhere")
		}
		wantClearFailure(t, s, "permission denied")
	})
}

// wantClearFailure expects that a put fails with the directory and the reason in its message, and leaves nothing.
func wantClearFailure(t *testing.T, s *Store, reason string) {
	t.Helper()
	err := store.Put(t.Context(), s, "k", make([]byte, 1<<20))
	if err == nil || !strings.Contains(err.Error(), s.dir) || !strings.Contains(err.Error(), reason) {
		t.Errorf("put: %v, want %q and the directory", err, reason)
	}
	if left := files(t, s); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestNewOnAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := New(path); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("New on a file: %v", err)
	}
}
