package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"actfleet/internal/outfile"
	"actfleet/shard/store"
)

// hidden begins the name of a pending object that needs a name.
const hidden = ".pending-"

// draft is a file being written. link gives it a name, or returns fs.ErrExist; drop frees it, linked or not.
type draft interface {
	Write([]byte) (int, error)
	Sync() error
	link(path string) error
	drop() error
}

type pending struct {
	store     *Store
	key, path string
	file      draft // nil after Commit or Abort
}

func (p *pending) Write(b []byte) (int, error) {
	if p.file == nil {
		return 0, fmt.Errorf("write %s: %w", p.key, store.ErrClosed)
	}
	n, err := p.file.Write(b)
	if err != nil {
		return n, p.wrap("write", err)
	}
	return n, nil
}

func (p *pending) Commit(ctx context.Context) error {
	if p.file == nil {
		return fmt.Errorf("commit %s: %w", p.key, store.ErrClosed)
	}
	defer p.Abort()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := os.Lstat(p.path); err == nil {
		return p.wrap("commit", store.ErrExists) // spares the loser of a race that is long over its fsync
	}
	if err := p.file.Sync(); err != nil {
		return p.wrap("commit", err)
	}
	err := p.file.link(p.path)
	if errors.Is(err, fs.ErrExist) {
		err = store.ErrExists
	}
	if err != nil {
		return p.wrap("commit", err)
	}
	if err := outfile.SyncDir(filepath.Dir(p.path)); err != nil {
		return p.wrap("commit", err)
	}
	return nil
}

func (p *pending) Abort() error {
	if p.file == nil {
		return nil
	}
	err := p.file.drop()
	p.file = nil
	if err != nil {
		return p.wrap("abort", err)
	}
	return nil
}

func (p *pending) wrap(op string, err error) error {
	var of *fs.PathError
	if errors.As(err, &of) { // it names the pending file, which nobody knows
		err = of.Err
	}
	return fmt.Errorf("%s %s in %s: %w", op, p.key, p.store.dir, err)
}

// namedFile is a draft with a hidden name, which its flock protects from sweep.
type namedFile struct{ *os.File }

// beginNamed makes a locked hidden file in dir.
func beginNamed(dir string) (draft, error) {
	if err := sweep(dir); err != nil {
		return nil, err
	}
	for {
		name := filepath.Join(dir, hidden+rand.Text())
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return nil, err
		}
		ok, err := claim(f)
		if ok {
			return namedFile{f}, nil
		}
		f.Close()
		if err != nil {
			os.Remove(f.Name())
			return nil, err
		}
	}
}

// claim locks a new hidden file. It reports false when a sweep came between the making and the locking.
func claim(f *os.File) (bool, error) {
	err := flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	n, err := linkCount(f)
	return n > 0, err
}

// link names the file. An error with a link count above one means that the link was made and its reply lost (NFS).
func (f namedFile) link(path string) error {
	err := os.Link(f.Name(), path)
	if err == nil {
		return nil
	}
	if n, statErr := linkCount(f.File); statErr == nil && n > 1 {
		return nil
	}
	return err
}

func (f namedFile) drop() error {
	return errors.Join(os.Remove(f.Name()), f.Close())
}

// sweep removes the hidden files of writers that died: those whose lock is free.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), hidden) {
			sweepFile(filepath.Join(dir, e.Name()))
		}
	}
	return nil
}

// sweepFile does nothing on any error: the file is then somebody else's to remove.
func sweepFile(path string) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if flock(f, unix.LOCK_EX|unix.LOCK_NB) == nil {
		os.Remove(path)
	}
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

func linkCount(f *os.File) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, err
	}
	return uint64(st.Nlink), nil
}
