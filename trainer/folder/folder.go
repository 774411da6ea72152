// Package folder makes folders that appear complete or not at all.
//
// A folder is written beside its place, under a name of its own with a lock that its process holds, and takes its
// place by one rename. Guaranteed: nobody sees a part of it; of two processes that make one folder, the second is
// told; what a killed one left is cleared away by the next that makes the same folder.
//
// A folder that grows file by file, such as that of a training, is claimed: one process holds it at a time, and the
// others are told which. Not guaranteed: locks between machines on a file system that has none.
package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"actfleet/internal/outfile"
)

// Errors that a caller decides on.
var (
	// ErrExists says that there is something in the folder's place already.
	ErrExists = errors.New("is there already")
	// ErrBusy says that another process is making the folder.
	ErrBusy = errors.New("is just being written by another process")
)

// Make makes the folder dir of what write puts into the folder it is given. An empty folder may be in its place.
func Make(dir string, write func(temp string) error) error {
	dir = filepath.Clean(dir)
	if err := free(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	temp := filepath.Join(filepath.Dir(dir), ".tmp-"+filepath.Base(dir))
	lock, err := claim(temp)
	if err != nil {
		return fmt.Errorf("%s %w", dir, err)
	}
	defer lock.Close() // which gives the claim up; nothing was written to it
	for _, step := range []func() error{
		func() error { return clear(temp) },
		func() error { return write(temp) },
		func() error { return free(dir) },
		func() error { return place(temp, dir) },
	} {
		if err := step(); err != nil {
			return errors.Join(err, os.RemoveAll(temp))
		}
	}
	return nil
}

// free tells whether a folder may be put in a place.
func free(dir string) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		held, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		if len(held) == 0 {
			return nil
		}
	}
	return fmt.Errorf("%s %w", dir, ErrExists)
}

// claim makes the temporary folder, or takes over one that nobody holds, and locks it.
func claim(temp string) (*os.File, error) {
	for range 3 { // a holder may finish between two calls
		if err := os.Mkdir(temp, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		f, err := os.Open(temp)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			if errors.Is(err, unix.EWOULDBLOCK) {
				err = ErrBusy
			}
			return nil, errors.Join(err, f.Close())
		}
		if still(f, temp) {
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return nil, ErrBusy
}

// still tells whether an open folder is the one that its name stands for.
func still(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Lstat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

// clear empties a folder that a killed process left.
func clear(temp string) error {
	left, err := os.ReadDir(temp)
	for _, e := range left {
		err = errors.Join(err, os.RemoveAll(filepath.Join(temp, e.Name())))
	}
	return err
}

// place puts a complete folder in its place, durably.
func place(temp, dir string) error {
	if err := outfile.SyncDir(temp); err != nil {
		return err
	}
	if err := unix.Rename(temp, dir); err != nil { // os.Rename refuses an empty folder in the place
		return fmt.Errorf("rename %s to %s: %w", temp, dir, err)
	}
	return outfile.SyncDir(filepath.Dir(dir))
}
