package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sort"
	"strings"
	"sync"
	"time"

	"actfleet/shard/store"
)

// Store is a store in memory. Make one with New.
type Store struct {
	now func() time.Time

	mu      sync.Mutex
	objects map[string]object
}

type object struct {
	data []byte
	mod  time.Time
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Mapped = (*reader)(nil)
)

// New returns an empty store. Its clock, which stamps Info.ModTime, is now; nil means time.Now.
func New(now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{now: now, objects: map[string]object{}}
}

// String names the store.
func (s *Store) String() string { return "memory" }

// Create begins a new object.
func (s *Store) Create(ctx context.Context, key string) (store.Pending, error) {
	if err := check(ctx, key); err != nil {
		return nil, err
	}
	return &pending{store: s, key: key}, nil
}

// Open reads a committed object. The reader has its bytes: it is a store.Mapped.
func (s *Store) Open(ctx context.Context, key string) (store.Object, error) {
	if err := check(ctx, key); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[key]
	if !ok {
		return nil, fmt.Errorf("open %s in memory: %w", key, store.ErrNotFound)
	}
	return &reader{Reader: bytes.NewReader(o.data), data: o.data}, nil
}

// List returns the objects under prefix, sorted by key.
func (s *Store) List(ctx context.Context, prefix string) ([]store.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var infos []store.Info
	for key, o := range s.objects {
		if strings.HasPrefix(key, prefix) {
			infos = append(infos, store.Info{Key: key, Size: int64(len(o.data)), ModTime: o.mod})
		}
	}
	sort.Slice(infos, func(i, j int) bool { return infos[i].Key < infos[j].Key })
	return infos, nil
}

// Delete removes an object.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key)
	return nil
}

func check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return store.CheckKey(key)
}

// pending collects the bytes of one object.
type pending struct {
	store  *Store
	key    string
	data   []byte
	closed bool
}

func (p *pending) Write(b []byte) (int, error) {
	if p.closed {
		return 0, fmt.Errorf("write %s: %w", p.key, store.ErrClosed)
	}
	p.data = append(p.data, b...)
	return len(b), nil
}

func (p *pending) Commit(ctx context.Context) error {
	if p.closed {
		return fmt.Errorf("commit %s: %w", p.key, store.ErrClosed)
	}
	p.closed = true
	if err := ctx.Err(); err != nil {
		return err
	}
	s := p.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.objects[p.key]; taken {
		return fmt.Errorf("commit %s in memory: %w", p.key, store.ErrExists)
	}
	s.objects[p.key] = object{data: p.data, mod: s.now()}
	return nil
}

func (p *pending) Abort() error {
	p.closed, p.data = true, nil
	return nil
}

// reader is an open object.
type reader struct {
	*bytes.Reader
	data []byte
}

var _ io.ReaderAt = (*reader)(nil)

func (r *reader) Bytes() []byte { return r.data }

// Need has nothing to do: the bytes are there.
func (r *reader) Need(off, size int64) {}
func (r *reader) Size() int64          { return int64(len(r.data)) }
func (r *reader) Close() error         { return nil }
