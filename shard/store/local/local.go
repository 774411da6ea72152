package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"actfleet/internal/mapped"
	"actfleet/internal/outfile"
	"actfleet/shard/store"
)

// Store is a directory used as a store. Make one with New.
type Store struct {
	dir   string
	named bool // pending objects are hidden files rather than files without a name
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Mapped = (*object)(nil)
)

// New returns the store in dir, which it makes when it is missing.
func New(dir string) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("store directory %s: %w", dir, err)
	}
	if err := makeDir(abs); err != nil {
		return nil, fmt.Errorf("store directory %s: %w", dir, err)
	}
	return &Store{dir: abs, named: !anonymousFiles(abs)}, nil
}

// String is the directory's absolute path.
func (s *Store) String() string { return s.dir }

// Create begins a new object, and makes the directories on the way to it.
func (s *Store) Create(ctx context.Context, key string) (store.Pending, error) {
	path, err := s.path(ctx, key)
	if err != nil {
		return nil, err
	}
	if err := makeDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("create %s in %s: %w", key, s.dir, err)
	}
	begin := beginAnonymous
	if s.named {
		begin = beginNamed
	}
	f, err := begin(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("create %s in %s: %w", key, s.dir, err)
	}
	return &pending{store: s, key: key, path: path, file: f}, nil
}

// Open maps a committed object into memory. The object is a store.Mapped.
func (s *Store) Open(ctx context.Context, key string) (store.Object, error) {
	path, err := s.path(ctx, key)
	if err != nil {
		return nil, err
	}
	o, err := openObject(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ENXIO) || errors.Is(err, mapped.ErrNotRegular) {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open %s in %s: %w", key, s.dir, err)
	}
	return o, nil
}

// List walks the directories that can hold prefix.
func (s *Store) List(ctx context.Context, prefix string) ([]store.Info, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	var infos []store.Info
	root := filepath.Join(s.dir, filepath.FromSlash(prefix[:strings.LastIndexByte(prefix, '/')+1]))
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && d.IsDir() {
			return s.prune(path, prefix)
		}
		if err == nil {
			infos, err = s.add(infos, path, prefix, d)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the prefix has no directory, or the entry was deleted meanwhile
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list %q in %s: %w", prefix, s.dir, err)
	}
	sort.Slice(infos, func(i, j int) bool { return infos[i].Key < infos[j].Key })
	return infos, nil
}

// prune returns SkipDir for a directory that cannot hold prefix.
func (s *Store) prune(dir, prefix string) error {
	key := s.key(dir) + "/"
	if dir == s.dir || strings.HasPrefix(key, prefix) || strings.HasPrefix(prefix, key) {
		return nil
	}
	return fs.SkipDir
}

// add appends one file to infos if it is an object under prefix.
func (s *Store) add(infos []store.Info, path, prefix string, d fs.DirEntry) ([]store.Info, error) {
	key := s.key(path)
	if !d.Type().IsRegular() || !strings.HasPrefix(key, prefix) || store.CheckKey(key) != nil {
		return infos, nil
	}
	fi, err := d.Info()
	if err != nil {
		return infos, err
	}
	return append(infos, store.Info{Key: key, Size: fi.Size(), ModTime: fi.ModTime()}), nil
}

// key is the inverse of path.
func (s *Store) key(path string) string {
	return filepath.ToSlash(strings.TrimPrefix(strings.TrimPrefix(path, s.dir), string(filepath.Separator)))
}

// Delete removes an object.
func (s *Store) Delete(ctx context.Context, key string) error {
	path, err := s.path(ctx, key)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete %s in %s: %w", key, s.dir, err)
	}
	return nil
}

func (s *Store) path(ctx context.Context, key string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := store.CheckKey(key); err != nil {
		return "", err
	}
	return filepath.Join(s.dir, filepath.FromSlash(key)), nil
}

// makeDir is os.MkdirAll that also makes each new directory durable in its parent.
func makeDir(dir string) error {
	if fi, err := os.Stat(dir); err == nil {
		if !fi.IsDir() {
			return fmt.Errorf("%s is not a directory", dir)
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return outfile.SyncDir(parent)
}
