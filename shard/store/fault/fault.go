package fault

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"actfleet/shard/store"
)

// ErrInjected is the error of a failed operation.
var ErrInjected = errors.New("injected fault")

// Faults says what fails. The zero value lets everything pass.
type Faults struct {
	FailAt int   // number of the operation that fails; 0 is none
	Err    error // what it returns; nil is ErrInjected
	After  bool  // it is done first
	Space  int64 // bytes that can be written in all before the disk is full; 0 is no limit
}

// Store is a store with faults. Make one with Wrap.
type Store struct {
	inner store.Store

	mu     sync.Mutex
	faults Faults
	ops    int
	used   int64
	fired  bool
}

var _ store.Store = (*Store)(nil)

// Wrap returns st with faults.
func Wrap(st store.Store, f Faults) *Store {
	if f.Err == nil {
		f.Err = ErrInjected
	}
	return &Store{inner: st, faults: f}
}

// Ops is the number of operations begun so far.
func (s *Store) Ops() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ops
}

// Fired reports whether a fault has happened.
func (s *Store) Fired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fired
}

// do counts an operation and does it, or not.
func (s *Store) do(what string, op func() error) error {
	s.mu.Lock()
	s.ops++
	fail := s.ops == s.faults.FailAt
	s.fired = s.fired || fail
	s.mu.Unlock()
	if !fail {
		return op()
	}
	if s.faults.After {
		if err := op(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: %w", what, s.faults.Err)
}

// take uses up space for n bytes, and returns how many fit.
func (s *Store) take(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults.Space > 0 {
		fit := min(int64(n), s.faults.Space-s.used)
		s.fired = s.fired || fit < int64(n)
		n = int(fit)
	}
	s.used += int64(n)
	return n
}

// String names the wrapped store.
func (s *Store) String() string { return s.inner.String() }

// Create may fail, and gives a Pending that may.
func (s *Store) Create(ctx context.Context, key string) (p store.Pending, err error) {
	err = s.do("create "+key, func() (err error) {
		p, err = s.inner.Create(ctx, key)
		return err
	})
	if err != nil {
		if p != nil {
			err = errors.Join(err, p.Abort())
		}
		return nil, err
	}
	return &pending{store: s, key: key, inner: p}, nil
}

// Open may fail, and gives an Object that may. The object has no Bytes, so that every read can fail.
func (s *Store) Open(ctx context.Context, key string) (o store.Object, err error) {
	err = s.do("open "+key, func() (err error) {
		o, err = s.inner.Open(ctx, key)
		return err
	})
	if err != nil {
		if o != nil {
			err = errors.Join(err, o.Close())
		}
		return nil, err
	}
	return &object{store: s, key: key, inner: o}, nil
}

// List may fail.
func (s *Store) List(ctx context.Context, prefix string) (infos []store.Info, err error) {
	err = s.do("list "+prefix, func() (err error) {
		infos, err = s.inner.List(ctx, prefix)
		return err
	})
	if err != nil {
		return nil, err
	}
	return infos, nil
}

// Delete may fail.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.do("delete "+key, func() error { return s.inner.Delete(ctx, key) })
}

type pending struct {
	store *Store
	key   string
	inner store.Pending
}

func (p *pending) Write(b []byte) (n int, err error) {
	err = p.store.do("write "+p.key, func() (err error) {
		fit := p.store.take(len(b))
		if n, err = p.inner.Write(b[:fit]); err == nil && fit < len(b) {
			err = fmt.Errorf("write %s: %w", p.key, syscall.ENOSPC)
		}
		return err
	})
	return n, err
}

// Commit fails like any operation; the pending object is gone, as the store promises.
func (p *pending) Commit(ctx context.Context) error {
	err := p.store.do("commit "+p.key, func() error { return p.inner.Commit(ctx) })
	if err != nil {
		err = errors.Join(err, p.inner.Abort())
	}
	return err
}

func (p *pending) Abort() error {
	err := p.store.do("abort "+p.key, p.inner.Abort)
	return errors.Join(err, p.inner.Abort())
}

type object struct {
	store *Store
	key   string
	inner store.Object
}

func (o *object) ReadAt(b []byte, off int64) (n int, err error) {
	err = o.store.do("read "+o.key, func() (err error) {
		n, err = o.inner.ReadAt(b, off)
		return err
	})
	return n, err
}

func (o *object) Size() int64  { return o.inner.Size() }
func (o *object) Close() error { return o.inner.Close() }
