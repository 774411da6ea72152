package mirror

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/store"
)

// Mirror is a run's stand-in. One goroutine uses it.
type Mirror struct {
	Dir string

	files   []*file
	fetched atomic.Int64
}

// file is one shard.
type file struct {
	object store.Object
	reader *shard.Reader // over the footer
	path   string
	held   map[string]bool // columns
}

const (
	parallel = 16      // requests at a time
	maxSmall = 1 << 30 // of a file that is copied whole
)

// Open lists a run and fetches plan, manifest and logs, and the footer of every shard. The directory is made.
func Open(ctx context.Context, st store.Store, dir string) (*Mirror, error) {
	m := &Mirror{Dir: dir}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	// Tombstones come last: a shard of a ring that is deleted meanwhile has one.
	for _, prefix := range []string{run.KeyPlan, run.KeyManifest, "log/", "acts/", "codes/", run.GonePrefix} {
		infos, err := st.List(ctx, prefix)
		if err != nil {
			return nil, errors.Join(err, g.Wait())
		}
		for _, info := range infos {
			at := filepath.Join(dir, filepath.FromSlash(info.Key))
			if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
				return nil, errors.Join(fmt.Errorf("make room for %s: %w", info.Key, err), g.Wait())
			}
			if path.Ext(info.Key) != ".parquet" {
				g.Go(func() error { return m.copy(ctx, st, info.Key, at) })
				continue
			}
			f := &file{path: at, held: map[string]bool{}}
			m.files = append(m.files, f)
			g.Go(func() error { return m.open(ctx, st, info.Key, f) })
		}
	}
	if err := g.Wait(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, os.MkdirAll(dir, 0o700)
}

func (m *Mirror) copy(ctx context.Context, st store.Store, key, at string) error {
	data, err := store.Get(ctx, st, key, maxSmall)
	if err != nil {
		return err
	}
	m.fetched.Add(int64(len(data)))
	return os.WriteFile(at, data, 0o600)
}

// open makes the sparse file. A file that is no shard of ours stays a hole: whoever reads it learns what it is.
func (m *Mirror) open(ctx context.Context, st store.Store, key string, f *file) (err error) {
	f.object, err = st.Open(ctx, key)
	if errors.Is(err, store.ErrNotFound) { // it was deleted since it was listed
		return nil
	}
	if err != nil {
		return err
	}
	size := f.object.Size()
	out, err := os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := out.Truncate(size); err != nil {
		return fmt.Errorf("make room for %s: %w", key, err)
	}
	tail, err := m.footer(f.object, size)
	if errors.Is(err, shard.ErrCorrupt) {
		return nil
	}
	if err != nil {
		return err
	}
	if f.reader, err = shard.NewReader(tail, size); err != nil {
		return nil
	}
	_, errHead := out.WriteAt(magic, 0)
	_, errTail := out.WriteAt(tail.data, tail.off)
	return errors.Join(errHead, errTail)
}

// Close lets go of the store's objects; the directory stays.
func (m *Mirror) Close() error {
	var errs []error
	for _, f := range m.files {
		if f.object != nil {
			errs = append(errs, f.object.Close())
		}
	}
	return errors.Join(errs...)
}

// Fetched is how many bytes were asked of the store so far.
func (m *Mirror) Fetched() int64 { return m.fetched.Load() }

// Size is the length of all shards together.
func (m *Mirror) Size() (n int64) {
	for _, f := range m.files {
		if f.object != nil {
			n += f.object.Size()
		}
	}
	return n
}

// Columns lists the names of all columns of all shards.
func (m *Mirror) Columns() []string {
	seen := map[string]bool{}
	for _, f := range m.files {
		if f.reader == nil {
			continue
		}
		s := f.reader.Schema()
		for _, c := range s.Scalars {
			seen[c.Name] = true
		}
		for _, v := range s.Vectors {
			seen[v.Name] = true
		}
	}
	var names []string
	for n := range seen {
		names = append(names, n)
	}
	slices.SortFunc(names, strings.Compare)
	return names
}
