package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"actfleet/shard/run"
	"actfleet/shard/store"
)

// lookAgain is how often a run that grows is looked at.
const lookAgain = time.Second

// openRun opens a run; with --follow it waits for one that has not begun.
func (o *trainOptions) openRun(ctx context.Context, run string) (store.Store, run.Plan, error) {
	for told := false; ; told = true {
		st, plan, err := openRunFor(ctx, run, o.write)
		if !o.follow || !errors.Is(err, errNoRun) {
			return st, plan, err
		}
		if !told {
			fmt.Fprintf(os.Stderr, "train: waiting for the run %s to begin\n", run)
		}
		if err := sleep(ctx, lookAgain); err != nil {
			return nil, plan, err
		}
	}
}

// waiter tells which unit is waited for.
func waiter(m *meter, units int) func(context.Context, int) error {
	return func(ctx context.Context, unit int) error {
		m.show(fmt.Sprintf("waiting for unit %d of %d", unit, units))
		return sleep(ctx, lookAgain)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
