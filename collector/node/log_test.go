package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"actfleet/collector"
	"actfleet/shard/shardtest"
	"actfleet/shard/store"
	"actfleet/shard/store/mem"
)

// A log in a bucket grows piece by piece, also when the answer to one is lost; each line is in one piece.
func TestLogInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := false // the answer to the first commit
		st := shardtest.Committing{Store: mem.New(nil), After: func(_ context.Context, _ string, err error) error {
			if !lost {
				lost = true
				return errors.New("no answer")
			}
			return err
		}}
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
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		want("a\n", "b\n", "c\n")
	})
}

// buffer is a file that is never closed.
type buffer struct{ bytes.Buffer }

func (*buffer) Close() error { return nil }

func TestLogLine(t *testing.T) {
	var b buffer
	u := 3
	l := &runLog{node: "n1", out: &b}
	l.write(collector.Event{Time: time.Unix(0, 0).UTC(), Event: "claim", Unit: &u})
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	want := `{"time":"1970-01-01T00:00:00Z","event":"claim","node":"n1","unit":3}` + "\n"
	if b.String() != want {
		t.Errorf("got %s want %s", b.String(), want)
	}
}
