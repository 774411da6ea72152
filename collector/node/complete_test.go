package node

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"actfleet/collector"
	"actfleet/collector/model/modeltest"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/store/mem"
)

// What was committed and then removed, before or after the manifest was written, or replaced by something else, is
// named at the end; the same command goes on from there.
func TestCompleteIsWhatALastListingSees(t *testing.T) {
	remove := func(keys ...string) func(context.Context, store.Store) error {
		return func(ctx context.Context, st store.Store) (err error) {
			for _, key := range keys {
				err = errors.Join(err, st.Delete(ctx, key))
			}
			return err
		}
	}
	for name, c := range map[string]struct {
		harm func(context.Context, store.Store) error
		says string
	}{
		"a unit":   {remove(run.UnitKey(1)), run.UnitKey(1)},
		"two":      {remove(run.UnitKey(0), run.UnitKey(2)), "2 of its units"},
		"the plan": {remove(run.KeyPlan), run.KeyPlan},
		"all":      {remove(run.KeyPlan, run.UnitKey(0), run.UnitKey(1), run.UnitKey(2), run.UnitKey(3)), run.KeyPlan},
		"emptied": {func(ctx context.Context, st store.Store) error {
			return errors.Join(st.Delete(ctx, run.UnitKey(3)), store.Put(ctx, st, run.UnitKey(3), nil))
		}, run.UnitKey(3)},
	} {
		synctest.Test(t, func(t *testing.T) {
			st, r := mem.New(time.Now), new(recorder)
			r.on = func(e collector.Event) {
				if e.Event == "commit" && r.count("commit") == units {
					if err := c.harm(t.Context(), st); err != nil {
						t.Error(err)
					}
				}
			}
			_, err := Run(t.Context(), config(t, st, modeltest.NewFake(), r), r)
			if !errors.Is(err, ErrIncomplete) && !strings.Contains(name, "emptied") || err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s was removed: %v", name, err)
			}
		})
	}
}

func TestAWholeRunIsLookedAtAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, r := mem.New(time.Now), new(recorder)
		if _, err := Run(t.Context(), config(t, st, modeltest.NewFake(), r), r); err != nil {
			t.Fatal(err)
		}
		if err := st.Delete(t.Context(), run.UnitKey(2)); err != nil {
			t.Fatal(err)
		}
		sum, err := Run(t.Context(), config(t, st, modeltest.NewFake(), r), r)
		if err != nil || sum.Won != 1 {
			t.Errorf("a unit that the manifest lists: %+v, %v", sum, err)
		}
		wantWhole(t, st)
	})
}
