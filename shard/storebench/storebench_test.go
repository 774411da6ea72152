package storebench

import (
	"context"
	"errors"
	"os"
	"testing"
)

// The measures run, leave nothing behind, and give positive numbers; one round shows it. How large they are is not a
// test's business.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("writes some hundred megabytes")
	}
	dir := t.TempDir()
	n := 0
	err := runRounds(t.Context(), dir, 1, func(r Result) error {
		n++
		t.Logf("%-26s %8.0f %-9s %4.2f of %s (%.0f), aim %.1f", r.Name, r.Value, r.Unit, r.Ratio, r.Limit, r.Bound, r.Aim)
		if r.Value <= 0 || r.Bound <= 0 || r.Ratio <= 0 || r.Name == "" {
			t.Errorf("%+v", r)
		}
		return nil
	})
	if err != nil || n != len(measures) {
		t.Errorf("%d results, %v", n, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestRunStops(t *testing.T) {
	stop := errors.New("enough")
	if err := Run(t.Context(), t.TempDir(), func(Result) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, t.TempDir(), func(Result) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
