package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"actfleet/analysis/report"
	"actfleet/shard/store"
	"actfleet/shard/store/mem"
)

// forgetful loses the answer to the first commit.
type forgetful struct {
	store.Store
	lost bool
}

type forgetfulPending struct {
	store.Pending
	st *forgetful
}

func (s *forgetful) Create(ctx context.Context, key string) (store.Pending, error) {
	p, err := s.Store.Create(ctx, key)
	return forgetfulPending{p, s}, err
}

func (p forgetfulPending) Commit(ctx context.Context) error {
	err := p.Pending.Commit(ctx)
	if !p.st.lost {
		p.st.lost = true
		return errors.New("no answer")
	}
	return err
}

// A log in a bucket grows piece by piece, also when the answer to one is lost; each line is in one piece.
func TestLogInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &forgetful{Store: mem.New(nil)}
		p := newPieces(t.Context(), st, func(n int) string { return fmt.Sprintf("log/%03d", n) })
		want := func(pieces ...string) {
			t.Helper()
			synctest.Wait()
			infos, err := st.List(t.Context(), "log/")
			if err != nil || len(infos) != len(pieces) {
				t.Fatalf("%d pieces, want %d: %v", len(infos), len(pieces), err)
			}
			for i, info := range infos {
				if data, err := store.Get(t.Context(), st, info.Key, 100); err != nil || string(data) != pieces[i] {
					t.Errorf("piece %d is %q, want %q: %v", i, data, pieces[i], err)
				}
			}
		}
		fmt.Fprint(p, "a\n")
		time.Sleep(4 * time.Second)
		want()
		time.Sleep(2 * time.Second)
		fmt.Fprint(p, "b\n")
		want("a\n")
		time.Sleep(5 * time.Second)
		want("a\n", "b\n")
		time.Sleep(time.Hour)
		want("a\n", "b\n")
		fmt.Fprint(p, "c\n")
		if err := p.close(); err != nil {
			t.Fatal(err)
		}
		want("a\n", "b\n", "c\n")
	})
}

// A node killed with -9 in a bucket leaves the log of its first seconds, which the report shows.
func TestS3LogOfAKilledNode(t *testing.T) {
	_, run := bucketRun(t)
	a := start(t, "collect", "--model", tinyModel, "--data", manyPrompts(t, 20000), "--tokens", "all", "--threads", "1", "--out", run)
	st := openBucket(t, run)
	for range 600 {
		if infos, err := st.List(t.Context(), "log/"); err != nil || len(infos) > 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	a.stop(t)
	seen, err := report.LoadTimeline(t.Context(), st)
	if err != nil || len(seen.Nodes) != 1 {
		t.Fatalf("%d nodes: %v", len(seen.Nodes), err)
	}
	if n := seen.Nodes[0]; n.Left || n.PID != a.Process.Pid || len(n.Spans) == 0 || seen.Skipped > 0 {
		t.Errorf("the log says %+v", n)
	}
}
