package collector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"actfleet/collector/model/modeltest"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/store/mem"
	"actfleet/shard/tap"
)

// A node that computes something else than the others is found out when both did the same unit.
func TestDivergingDuplicate(t *testing.T) {
	st, in := mem.New(time.Now), prompts(200)
	honest := config(t, st, modeltest.NewFake(), ask(t, "last"), in)
	odd := modeltest.NewFake()
	odd.Spoil = func(at tap.Tap, id int32, pos, d int, x float32) float32 {
		if at.Site == tap.FC2 && d == 1 {
			return x + 1./16
		}
		return x
	}
	first := new(sync.Once)
	odd.Before = func(ctx context.Context) error { // works on its first units while the honest node does them all
		first.Do(func() {
			if _, err := Collect(ctx, honest); err != nil {
				t.Error(err)
			}
		})
		return nil
	}
	_, err := Collect(t.Context(), deafly(config(t, st, odd, ask(t, "last"), in)))
	if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "fc2_") {
		t.Errorf("error %v, want ErrDiverged that names the column", err)
	}
	wantBoth(t, st, err)
	odd.Spoil, first = nil, new(sync.Once)
	st = mem.New(time.Now)
	honest = config(t, st, modeltest.NewFake(), ask(t, "last"), in)
	if sum, err := Collect(t.Context(), deafly(config(t, st, odd, ask(t, "last"), in))); err != nil || sum.Lost == 0 {
		t.Errorf("an identical duplicate: lost %d units, error %v; want some and none", sum.Lost, err)
	}
}

// deaf is a fleet in which nobody hears that another node was first until it tries to commit.
type deaf struct{ Fleet }

func (deaf) Overtaken(ctx context.Context, _ int) bool { <-ctx.Done(); return false }

func deafly(cfg Config) Config {
	cfg.Fleet = deaf{cfg.Fleet}
	return cfg
}

// wantBoth checks that the error and check name the SHA-256 of the committed shard and of the one that was kept.
func wantBoth(t *testing.T, st store.Store, err error) {
	t.Helper()
	kept, _ := st.List(t.Context(), "diverged/")
	if len(kept) != 1 {
		t.Fatalf("kept %v, want one shard", kept)
	}
	var u int
	if _, err := fmt.Sscanf(kept[0].Key, "diverged/unit-%06d-me.parquet", &u); err != nil {
		t.Fatalf("%s: %v", kept[0].Key, err)
	}
	report, checkErr := run.Check(t.Context(), st, run.CheckOptions{})
	if checkErr != nil || len(report.Damage) != 1 {
		t.Fatalf("check finds %q, %v; want one line", report.Damage, checkErr)
	}
	for _, key := range []string{run.UnitKey(u), kept[0].Key} {
		sum, digestErr := run.Digest(t.Context(), st, key)
		if digestErr != nil || !strings.Contains(err.Error(), sum) || !strings.Contains(report.Damage[0], sum) {
			t.Errorf("%s, %s, %v is not named by the error %q or by check: %q", key, sum, digestErr, err, report.Damage[0])
		}
	}
}

// A node that computes a unit wrongly once, and rightly when it looks again, says that it is to blame and keeps nothing.
func TestPassingError(t *testing.T) {
	st, in := mem.New(time.Now), prompts(200)
	honest := config(t, st, modeltest.NewFake(), ask(t, "last"), in)
	odd, first := modeltest.NewFake(), new(sync.Once)
	var wrong atomic.Bool
	wrong.Store(true)
	odd.Spoil = func(at tap.Tap, id int32, pos, d int, x float32) float32 {
		if at.Site == tap.FC2 && d == 1 && wrong.Load() {
			return x + 1./16
		}
		return x
	}
	odd.Before = func(ctx context.Context) error {
		first.Do(func() {
			if _, err := Collect(ctx, honest); err != nil {
				t.Error(err)
			}
		})
		return nil
	}
	cfg := deafly(config(t, st, odd, ask(t, "last"), in))
	cfg.Store = onCreate{st, func(key string) {
		if strings.HasPrefix(key, "diverged/") {
			wrong.Store(false)
		}
	}}
	_, err := Collect(t.Context(), cfg)
	if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "this machine makes errors") {
		t.Errorf("error %v", err)
	}
	if kept, _ := st.List(t.Context(), "diverged/"); len(kept) != 0 {
		t.Errorf("kept %v", kept)
	}
}

// onCreate is a store that tells of what is created.
type onCreate struct {
	store.Store
	tell func(key string)
}

func (s onCreate) Create(ctx context.Context, key string) (store.Pending, error) {
	s.tell(key)
	return s.Store.Create(ctx, key)
}
