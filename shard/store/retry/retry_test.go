package retry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"actfleet/shard/store"
	"actfleet/shard/store/fault"
	"actfleet/shard/store/mem"
	"actfleet/shard/store/retry"
	"actfleet/shard/store/storetest"
)

var quick = retry.Policy{First: time.Microsecond, Longest: 10 * time.Microsecond, Most: 50 * time.Millisecond}

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return retry.Wrap(mem.New(nil), quick) })
}

// Of every operation, a single failure that may pass is not seen, and one that will not pass is seen at once. Commit,
// the third operation, is never repeated.
func TestSingleFailures(t *testing.T) {
	for _, passing := range []bool{true, false} {
		fail := errors.New("broken")
		if passing {
			fail = fmt.Errorf("reset: %w", store.ErrUnavailable)
		}
		for n := 1; ; n++ {
			inner := fault.Wrap(mem.New(nil), fault.Faults{FailAt: n, Err: fail})
			err := use(t.Context(), retry.Wrap(inner, quick))
			if !inner.Fired() {
				break
			}
			if repeated := passing && n != 2 && n != 3; (err == nil) != repeated {
				t.Errorf("operation %d failing with %v: %v", n, fail, err)
			}
		}
	}
}

// use does create, write, commit, open, read, list, delete.
func use(ctx context.Context, s store.Store) error {
	p, err := s.Create(ctx, "k")
	if err != nil {
		return err
	}
	if _, err := p.Write([]byte("value")); err != nil {
		return err
	}
	if err := p.Commit(ctx); err != nil {
		return err
	}
	if _, err := store.Get(ctx, s, "k", 10); err != nil {
		return err
	}
	if _, err := s.List(ctx, ""); err != nil {
		return err
	}
	return s.Delete(ctx, "k")
}

func TestBounds(t *testing.T) {
	down := fmt.Errorf("down: %w", store.ErrUnavailable)
	calls := 0
	if err := quick.Do(t.Context(), func() error { calls++; return down }); !errors.Is(err, down) || calls < 2 {
		t.Errorf("%v after %d calls", err, calls)
	}
	ctx, stop := context.WithCancel(t.Context())
	err := retry.Default.Do(ctx, func() error { stop(); return down })
	if !errors.Is(err, context.Canceled) || !errors.Is(err, down) {
		t.Errorf("cancelled: %v", err)
	}
}
