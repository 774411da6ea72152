package smallfile_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"actfleet/internal/smallfile"
)

func TestRegularFilesUpToTheLimitAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int64]error{5: nil, 6: nil, 4: smallfile.ErrTooLarge, 0: smallfile.ErrTooLarge} {
		got, err := smallfile.Read(path, limit)
		if !errors.Is(err, want) || err == nil && string(got) != "12345" {
			t.Errorf("limit %d: %q, %v", limit, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("error %v does not name the file", err)
		}
	}
	if _, err := smallfile.Read(path+"x", 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}

func TestWhatIsNoFileIsRefusedAtOnce(t *testing.T) {
	dir := t.TempDir()
	fifo, link := filepath.Join(dir, "fifo"), filepath.Join(dir, "link")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", link); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir) // a socket's path is short
	l, err := net.Listen("unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, path := range []string{fifo, link, "/dev/zero", "socket", dir} {
		if got, err := smallfile.Read(path, 1<<20); !errors.Is(err, smallfile.ErrNotRegular) {
			t.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
	}
}

// A file of /proc says that it has no bytes and holds some.
func TestAFileThatHoldsMoreThanItSaysIsCutOff(t *testing.T) {
	const path = "/proc/self/status"
	if _, err := smallfile.Read(path, 3); !errors.Is(err, smallfile.ErrTooLarge) {
		t.Errorf("error %v", err)
	}
}
