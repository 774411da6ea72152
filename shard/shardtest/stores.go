package shardtest

import (
	"context"
	"sync/atomic"

	"actfleet/shard/store"
)

// Counted is a store that counts the bytes read of its objects, of which none is mapped.
type Counted struct {
	store.Store
	Read atomic.Int64
}

// Open opens an object that counts.
func (s *Counted) Open(ctx context.Context, key string) (store.Object, error) {
	o, err := s.Store.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	return counted{o, &s.Read}, nil
}

type counted struct {
	store.Object
	read *atomic.Int64
}

// ReadAt reads and counts.
func (o counted) ReadAt(b []byte, off int64) (int, error) {
	n, err := o.Object.ReadAt(b, off)
	o.read.Add(int64(n))
	return n, err
}

// Committing is a store in which After has the last word on every commit: it is given what the commit returned, and
// its own result is what the caller sees.
type Committing struct {
	store.Store
	After func(ctx context.Context, key string, err error) error
}

// Create begins an object whose commit ends with After.
func (s Committing) Create(ctx context.Context, key string) (store.Pending, error) {
	p, err := s.Store.Create(ctx, key)
	if err != nil {
		return nil, err
	}
	return committing{p, key, s.After}, nil
}

type committing struct {
	store.Pending
	key   string
	after func(ctx context.Context, key string, err error) error
}

// Commit commits and tells After.
func (p committing) Commit(ctx context.Context) error {
	return p.after(ctx, p.key, p.Pending.Commit(ctx))
}
