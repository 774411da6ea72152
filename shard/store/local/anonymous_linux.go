package local

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// anonymousFiles reports whether dir's file system has files without a name that can be linked later. It needs /proc
// for that: linkat by descriptor alone asks for a privilege.
func anonymousFiles(dir string) bool {
	f, err := openAnonymous(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = os.Stat(procPath(f))
	return err == nil
}

type anonymousFile struct{ *os.File }

func beginAnonymous(dir string) (draft, error) {
	f, err := openAnonymous(dir)
	if err != nil {
		return nil, err
	}
	return anonymousFile{f}, nil
}

func openAnonymous(dir string) (*os.File, error) {
	for {
		fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o666)
		if err == nil {
			return os.NewFile(uintptr(fd), dir+"/(pending)"), nil
		}
		if !errors.Is(err, unix.EINTR) {
			return nil, &os.PathError{Op: "open", Path: dir, Err: err}
		}
	}
}

func (f anonymousFile) link(path string) error {
	err := unix.Linkat(unix.AT_FDCWD, procPath(f.File), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &os.PathError{Op: "link", Path: path, Err: err}
	}
	return nil
}

func (f anonymousFile) drop() error { return f.Close() }

func procPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// willNeed begins to read a part of a file into memory.
func willNeed(f *os.File, off, size int64) {
	_ = unix.Fadvise(int(f.Fd()), off, size, unix.FADV_WILLNEED) // only advice
}
