package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	scratchPrefix = "actfleet-sql-"
	lockFile      = "lock"
)

// scratch is a folder that is locked while its owner, or the owner's worker, lives.
type scratch struct {
	dir  string
	lock *os.File
}

// makeScratch makes a folder in TMPDIR.
func makeScratch() (s scratch, err error) {
	if s.dir, err = os.MkdirTemp("", scratchPrefix); err != nil {
		return s, fmt.Errorf("make room for the worker: %w", err)
	}
	s.lock, err = os.OpenFile(filepath.Join(s.dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = unix.Flock(int(s.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return s, fmt.Errorf("make room for the worker: %w", errors.Join(err, s.remove()))
	}
	return s, nil
}

func (s scratch) remove() error {
	err := os.RemoveAll(s.dir)
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// sweepAge is how old a folder without a lock must be to count as left behind: one that is just being made has none.
const sweepAge = time.Hour

// sweep removes the folders whose owner and worker were killed. What cannot be removed stays.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), scratchPrefix+"*"))
	for _, dir := range dirs {
		if left(dir) {
			_ = os.RemoveAll(dir)
		}
	}
}

func left(dir string) bool {
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR, 0)
	if err != nil {
		info, errStat := os.Lstat(dir)
		return errors.Is(err, os.ErrNotExist) && errStat == nil && info.IsDir() && time.Since(info.ModTime()) > sweepAge
	}
	defer lock.Close() // nothing was written
	info, err := lock.Stat()
	return err == nil && info.Mode().IsRegular() && unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
