package local

import (
	"testing"

	"golang.org/x/sys/unix"
)

// mount puts a small file system at the store's directory, and skips the test where that is not allowed.
func mount(t *testing.T, s *Store, flags uintptr, options string) {
	t.Helper()
	if err := unix.Mount("tmpfs", s.dir, "tmpfs", flags, options); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(s.dir, 0); err != nil {
			t.Errorf("unmount: %v (a descriptor was left open)", err)
		}
	})
}

func TestFullDisk(t *testing.T) {
	kinds(t, func(t *testing.T, named bool) {
		s := open(t, named)
		mount(t, s, 0, "size=256k")
		wantClearFailure(t, s, "no space left")
	})
}

func TestReadOnlyFileSystem(t *testing.T) {
	kinds(t, func(t *testing.T, named bool) {
		s := open(t, named)
		mount(t, s, unix.MS_RDONLY, "size=256k")
		wantClearFailure(t, s, "read-only file system")
	})
}
