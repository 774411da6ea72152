package mapped

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	blob := write(t, filepath.Join(dir, "blobs", "c0ffee"), "weights")
	link := filepath.Join(dir, "snapshots", "main", "model.gguf")
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../blobs/c0ffee", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{blob, link} {
		data, err := Open(path)
		if err != nil || string(data) != "weights" {
			t.Errorf("Open(%s) = %q, %v", path, data, err)
		}
		if err := Close(data); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func TestEmpty(t *testing.T) {
	data, err := Open(write(t, filepath.Join(t.TempDir(), "empty"), ""))
	if err != nil || len(data) != 0 {
		t.Fatalf("Open of an empty file = %d bytes, %v", len(data), err)
	}
	if err := Close(data); err != nil {
		t.Errorf("Close of nothing: %v", err)
	}
}

// TestOther opens what is no file; one that blocked on the FIFO would hang here.
func TestOther(t *testing.T) {
	dir := t.TempDir()
	fifo, link, socket := filepath.Join(dir, "fifo"), filepath.Join(dir, "link"), filepath.Join(dir, "socket")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(fifo, link); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, path := range []string{dir, fifo, link, os.DevNull} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path+": not a regular file") {
			t.Errorf("Open(%s): %v", path, err)
		}
	}
	if _, err := Open(socket); err == nil || !strings.Contains(err.Error(), socket) {
		t.Errorf("Open of a socket: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of nothing: %v", err)
	}
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
