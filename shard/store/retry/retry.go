package retry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"actfleet/shard/store"
)

// Policy bounds the repetitions of one operation.
type Policy struct {
	First   time.Duration // the first wait
	Longest time.Duration // no wait is longer, but for the random half
	Most    time.Duration // no wait begins that would end later than this after the first attempt
}

// Default outlasts the restart of a server.
var Default = Policy{First: 100 * time.Millisecond, Longest: 5 * time.Second, Most: 2 * time.Minute}

// Do calls op until it succeeds, fails for good, or the policy or the context ends. It returns op's last error, and
// the context's where that ended it.
func (p Policy) Do(ctx context.Context, op func() error) error {
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval = p.First, p.Longest
	waits.Multiplier, waits.RandomizationFactor = 2, 0.5
	var last error
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		last = op()
		if last != nil && !errors.Is(last, store.ErrUnavailable) {
			return struct{}{}, backoff.Permanent(last)
		}
		return struct{}{}, last
	}, backoff.WithBackOff(waits), backoff.WithMaxElapsedTime(p.Most))
	if err != nil && !errors.Is(err, last) { // the context ended
		return fmt.Errorf("%w, while repeating: %w", err, last)
	}
	return err
}

// Store is a store whose operations are repeated. Make one with Wrap.
type Store struct {
	inner  store.Store
	policy Policy
}

var _ store.Store = (*Store)(nil)

// Wrap returns st with repetitions.
func Wrap(st store.Store, p Policy) *Store { return &Store{inner: st, policy: p} }

// String names the wrapped store.
func (s *Store) String() string { return s.inner.String() }

// Create repeats the beginning of an object, never its commit.
func (s *Store) Create(ctx context.Context, key string) (p store.Pending, err error) {
	err = s.policy.Do(ctx, func() (err error) {
		p, err = s.inner.Create(ctx, key)
		return err
	})
	return p, err
}

// Open repeats itself, and gives an object that repeats its reads until the object is closed. An object
// with its bytes in memory is given as it is.
func (s *Store) Open(ctx context.Context, key string) (o store.Object, err error) {
	err = s.policy.Do(ctx, func() (err error) {
		o, err = s.inner.Open(ctx, key)
		return err
	})
	if _, mapped := o.(store.Mapped); err != nil || mapped {
		return o, err
	}
	// The reads outlive the call's context: an object may be opened by one task and read by the next.
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	return &object{Object: o, policy: s.policy, ctx: ctx, stop: stop}, nil
}

// List repeats itself.
func (s *Store) List(ctx context.Context, prefix string) (infos []store.Info, err error) {
	err = s.policy.Do(ctx, func() (err error) {
		infos, err = s.inner.List(ctx, prefix)
		return err
	})
	return infos, err
}

// Delete repeats itself: deleting what is gone is no error.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.policy.Do(ctx, func() error { return s.inner.Delete(ctx, key) })
}

type object struct {
	store.Object
	policy Policy
	ctx    context.Context
	stop   context.CancelFunc
}

// ReadAt reads on where a failed read stopped.
func (o *object) ReadAt(b []byte, off int64) (n int, err error) {
	err = o.policy.Do(o.ctx, func() error {
		m, err := o.Object.ReadAt(b[n:], off+int64(n))
		n += m
		return err
	})
	return n, err
}

// SHA256 makes the object a store.Summed, for what the inner object knows.
func (o *object) SHA256() string {
	if s, ok := o.Object.(store.Summed); ok {
		return s.SHA256()
	}
	return ""
}

func (o *object) Close() error {
	o.stop()
	return o.Object.Close()
}
