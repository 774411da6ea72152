package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"actfleet/shard/store"
	"actfleet/shard/store/mem"
)

// A node that waits for a plan says so once, after five seconds, with both causes, and gives up after a minute.
func TestWaitPlanSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, said := time.Now(), []string(nil)
		_, err := waitPlan(t.Context(), mem.New(time.Now), func(format string, args ...any) {
			if d := time.Since(began); d < planQuiet || d > planQuiet+time.Second {
				t.Errorf("said after %s", d)
			}
			said = append(said, fmt.Sprintf(format, args...))
		})
		if !errors.Is(err, store.ErrNotFound) || time.Since(began) < planWait {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if len(said) != 1 || !strings.Contains(said[0], "--data") || !strings.Contains(said[0], "--out") || !strings.Contains(said[0], "memory") {
			t.Errorf("said %q", said)
		}
	})
}
