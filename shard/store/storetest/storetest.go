package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"actfleet/shard/store"
)

// Run tests the stores that open makes. Each call of open must return an empty store.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	tests := []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"Race", race},
		{"RoundTrip", roundTrip},
		{"RangedReads", rangedReads},
		{"PendingIsInvisible", pendingIsInvisible},
		{"ListIsSorted", listIsSorted},
		{"ListPrefix", listPrefix},
		{"Abort", abort},
		{"UseAfterCommit", useAfterCommit},
		{"Exists", exists},
		{"NotFound", notFound},
		{"Delete", deletes},
		{"Keys", keys},
		{"Cancel", cancel},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, open(t)) })
	}
}

// Racers and Rounds size the race for one key.
const (
	Racers = 32
	Rounds = 25
)

// race lets Racers goroutines commit one key at the same time: one wins, and its bytes are the object.
func race(t *testing.T, s store.Store) {
	for round := range Rounds {
		key := fmt.Sprintf("race/unit-%06d", round)
		errs := make([]error, Racers)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range Racers {
			wg.Go(func() {
				<-start
				errs[i] = store.Put(t.Context(), s, key, racerBytes(i))
			})
		}
		close(start)
		wg.Wait()
		checkRace(t, s, key, errs)
	}
}

func racerBytes(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 1000+i) }

func checkRace(t *testing.T, s store.Store, key string, errs []error) {
	t.Helper()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("%s: %d and %d both won", key, winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, store.ErrExists):
			t.Fatalf("%s: racer %d: %v, want ErrExists", key, i, err)
		}
	}
	if winner < 0 {
		t.Fatalf("%s: nobody won", key)
	}
	wantObject(t, s, key, racerBytes(winner))
}

func roundTrip(t *testing.T, s store.Store) {
	for _, size := range []int{0, 1, 4095, 4096, 1 << 20} {
		key := fmt.Sprintf("size/%d", size)
		data := randomBytes(size)
		p := create(t, s, key)
		for chunk := range slices.Chunk(data, 100_000) {
			if n, err := p.Write(chunk); err != nil || n != len(chunk) {
				t.Fatalf("write: %d, %v", n, err)
			}
		}
		if err := p.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantObject(t, s, key, data)
	}
}

func rangedReads(t *testing.T, s store.Store) {
	data := randomBytes(10_000)
	put(t, s, "a/b", data)
	o := open(t, s, "a/b")
	for _, r := range [][2]int{{0, 1}, {0, 10_000}, {9_999, 1}, {5_000, 4_321}, {0, 0}} {
		got := make([]byte, r[1])
		if n, err := o.ReadAt(got, int64(r[0])); n != r[1] || err != nil && err != io.EOF {
			t.Errorf("ReadAt(%d bytes, %d) = %d, %v", r[1], r[0], n, err)
		}
		if !bytes.Equal(got, data[r[0]:r[0]+r[1]]) {
			t.Errorf("ReadAt(%d bytes, %d): wrong bytes", r[1], r[0])
		}
	}
	got := make([]byte, 20)
	if n, err := o.ReadAt(got, 9_990); n != 10 || err != io.EOF {
		t.Errorf("ReadAt over the end = %d, %v, want 10, EOF", n, err)
	}
	if m, ok := o.(store.Mapped); ok && !bytes.Equal(m.Bytes(), data) {
		t.Error("Bytes differ")
	}
}

func pendingIsInvisible(t *testing.T, s store.Store) {
	p := create(t, s, "acts/unit-000000.parquet")
	if _, err := p.Write(randomBytes(100_000)); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, s, "")
	if _, err := s.Open(t.Context(), "acts/unit-000000.parquet"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("open a pending object: %v, want ErrNotFound", err)
	}
	if err := p.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, s, "", "acts/unit-000000.parquet")
}

func listIsSorted(t *testing.T, s store.Store) {
	var want []string
	for _, i := range rand.Perm(40) {
		key := fmt.Sprintf("d%d/k%02d", i%3, i)
		put(t, s, key, make([]byte, i))
		want = append(want, key)
		slices.Sort(want)
		wantKeys(t, s, "", want...)
	}
	infos, err := s.List(t.Context(), "d1/k07")
	if err != nil || len(infos) != 1 || infos[0].Size != 7 || infos[0].ModTime.IsZero() {
		t.Errorf("info %+v, %v", infos, err)
	}
}

func listPrefix(t *testing.T, s store.Store) {
	for _, key := range []string{"a", "ab/c", "ab/d/e", "b/c"} {
		put(t, s, key, nil)
	}
	wantKeys(t, s, "a", "a", "ab/c", "ab/d/e")
	wantKeys(t, s, "ab", "ab/c", "ab/d/e")
	wantKeys(t, s, "ab/", "ab/c", "ab/d/e")
	wantKeys(t, s, "ab/d", "ab/d/e")
	wantKeys(t, s, "b/c/")
	wantKeys(t, s, "x/y")
}

func abort(t *testing.T, s store.Store) {
	p := create(t, s, "k")
	if _, err := p.Write([]byte("lost")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Abort(); err != nil {
			t.Errorf("abort: %v", err)
		}
	}
	wantKeys(t, s, "")
	if _, err := p.Write([]byte("x")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("write after Abort: %v, want ErrClosed", err)
	}
	if err := p.Commit(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("commit after Abort: %v, want ErrClosed", err)
	}
	put(t, s, "k", []byte("kept"))
	wantObject(t, s, "k", []byte("kept"))
}

func useAfterCommit(t *testing.T, s store.Store) {
	p := create(t, s, "k")
	if err := p.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("second Commit: %v, want ErrClosed", err)
	}
	if _, err := p.Write([]byte("x")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("write after Commit: %v, want ErrClosed", err)
	}
	if err := p.Abort(); err != nil {
		t.Errorf("abort after Commit: %v", err)
	}
	wantObject(t, s, "k", nil)
}

func exists(t *testing.T, s store.Store) {
	put(t, s, "k", []byte("first"))
	p := create(t, s, "k")
	if _, err := p.Write([]byte("second")); err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(t.Context()); !errors.Is(err, store.ErrExists) {
		t.Errorf("commit: %v, want ErrExists", err)
	}
	wantObject(t, s, "k", []byte("first"))
	wantKeys(t, s, "", "k")
}

func notFound(t *testing.T, s store.Store) {
	put(t, s, "dir/k", nil)
	for _, key := range []string{"k", "dir", "dir/k/x", "dir/k2", "no/such"} {
		if _, err := s.Open(t.Context(), key); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("open %s: %v, want ErrNotFound", key, err)
		}
	}
}

func deletes(t *testing.T, s store.Store) {
	put(t, s, "a/k", []byte("old"))
	for range 2 {
		if err := s.Delete(t.Context(), "a/k"); err != nil {
			t.Fatal(err)
		}
	}
	wantKeys(t, s, "")
	put(t, s, "a/k", []byte("new"))
	wantObject(t, s, "a/k", []byte("new"))
}

func keys(t *testing.T, s store.Store) {
	bad := []string{"", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "./a", ".hidden", "a/.b", `a\b`, "a\x00", "a\nb", "\xff",
		string(make([]byte, store.MaxKey+1))}
	for _, key := range bad {
		if _, err := s.Create(t.Context(), key); !errors.Is(err, store.ErrKey) {
			t.Errorf("create %q: %v, want ErrKey", key, err)
		}
		if _, err := s.Open(t.Context(), key); !errors.Is(err, store.ErrKey) {
			t.Errorf("open %q: %v, want ErrKey", key, err)
		}
		if err := s.Delete(t.Context(), key); !errors.Is(err, store.ErrKey) {
			t.Errorf("delete %q: %v, want ErrKey", key, err)
		}
	}
	for _, key := range []string{"a", "a.b/c-d_e", "log/nöde 1.jsonl"} {
		put(t, s, key, []byte(key))
		wantObject(t, s, key, []byte(key))
	}
	if _, err := s.List(t.Context(), "../"); !errors.Is(err, store.ErrKey) {
		t.Errorf("list ../: %v, want ErrKey", err)
	}
}

func cancel(t *testing.T, s store.Store) {
	put(t, s, "there", nil)
	p := create(t, s, "k")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, createErr := s.Create(ctx, "k")
	_, openErr := s.Open(ctx, "there")
	_, listErr := s.List(ctx, "")
	for op, err := range map[string]error{"create": createErr, "open": openErr, "list": listErr, "delete": s.Delete(ctx, "there"), "commit": p.Commit(ctx)} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: %v", op, err)
		}
	}
	wantKeys(t, s, "", "there")
}
