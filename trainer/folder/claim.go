package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockName is the file in a folder that its holder has locked, and where it says who it is.
const lockName = ".lock"

// claimPause is how often a claim looks again.
const claimPause = 50 * time.Millisecond

// Claim makes the folder dir if need be and holds it until release, so that no other process claims it or makes it. A
// folder that another process holds is waited for as long as patience; then it is ErrBusy, which says who holds it. A
// claim ends with its process at the latest. release removes the folder again if Claim made it and nothing is in it.
func Claim(ctx context.Context, dir string, patience time.Duration) (release func(), err error) {
	_, err = os.Lstat(dir)
	made := errors.Is(err, fs.ErrNotExist)
	for began := time.Now(); ; {
		f, holder, err := tryLock(dir)
		if err != nil {
			return nil, err
		}
		if f != nil {
			return func() {
				os.Remove(f.Name())
				f.Close()
				if made {
					os.Remove(dir) // only if it is empty
				}
			}, nil
		}
		if time.Since(began) >= patience {
			return nil, fmt.Errorf("%s %w%s", dir, ErrBusy, holder)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(claimPause):
		}
	}
}

// tryLock locks the lock file of dir and writes into it who holds it, or tells who does. A file system without locks
// lets everybody have it.
func tryLock(dir string) (f *os.File, holder string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, "", err
	}
	path := filepath.Join(dir, lockName)
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o644)
	if errors.Is(err, fs.ErrNotExist) { // the folder was just removed by its former holder
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		text := make([]byte, 256)
		n, _ := f.ReadAt(text, 0) // nothing is as good an answer
		if n > 0 {
			holder = ": " + string(text[:n])
		}
		return nil, holder, f.Close()
	}
	if !still(f, path) {
		return nil, "", f.Close()
	}
	host, _ := os.Hostname()
	if err := errors.Join(f.Truncate(0), write(f, fmt.Sprintf("process %d on %s", os.Getpid(), host))); err != nil {
		return nil, "", errors.Join(fmt.Errorf("claim %s: %w", dir, err), f.Close())
	}
	return f, "", nil
}

func write(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}
