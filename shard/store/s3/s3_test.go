package s3_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"actfleet/shard/store"
	"actfleet/shard/store/retry"
	"actfleet/shard/store/s3"
	"actfleet/shard/store/s3/s3test"
	"actfleet/shard/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bucket = "fleet"

// config is quick to give up and quick to repeat.
func config() s3.Config {
	cfg := s3.FromEnv()
	cfg.Connect = retry.Policy{First: time.Millisecond, Longest: 100 * time.Millisecond, Most: 2 * time.Second}
	cfg.Retry = retry.Policy{First: time.Millisecond, Longest: 200 * time.Millisecond, Most: 20 * time.Second}
	return cfg
}

func open(t *testing.T, cfg s3.Config, prefix string) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), "s3://"+bucket+"/"+prefix, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestStore(t *testing.T) {
	s3test.Start(t, bucket)
	var n atomic.Int64
	t.Run("bare", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) store.Store { return open(t, config(), fmt.Sprint("run", n.Add(1))) })
	})
	t.Run("retry", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) store.Store {
			return retry.Wrap(open(t, config(), fmt.Sprint("run", n.Add(1))), config().Retry)
		})
	})
}

// Reads of every size and place give the object's bytes.
func TestReads(t *testing.T) {
	s3test.Start(t, bucket)
	s := open(t, config(), "run")
	data := make([]byte, 3<<20+17)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	if err := store.Put(t.Context(), s, "k", data); err != nil {
		t.Fatal(err)
	}
	o, err := s.Open(t.Context(), "k")
	if err != nil || o.Size() != int64(len(data)) {
		t.Fatal(o.Size(), err)
	}
	defer o.Close()
	if sum := sha256.Sum256(data); o.(store.Summed).SHA256() != hex.EncodeToString(sum[:]) {
		t.Error("the SHA-256 is another")
	}
	for _, size := range []int{1, 100, 64 << 10, 300 << 10, 1 << 20} {
		for _, off := range []int{0, 1, 1000, 256 << 10, 2 << 20, len(data) - 70_000, len(data) - 10, len(data) - 1} {
			b := make([]byte, size)
			n, err := o.ReadAt(b, int64(off))
			want := data[off:min(off+size, len(data))]
			if !bytes.Equal(b[:n], want) || (err == io.EOF) != (n < size) || err != nil && err != io.EOF {
				t.Errorf("ReadAt(%d, %d) = %d, %v", size, off, n, err)
			}
		}
	}
}

// Reads one after the other fetch ahead, and still give the object's bytes.
func TestSequentialReads(t *testing.T) {
	s3test.Start(t, bucket)
	s := open(t, config(), "run")
	data := make([]byte, 9<<20+5)
	for i := range data {
		data[i] = byte(i * i >> 9)
	}
	if err := store.Put(t.Context(), s, "k", data); err != nil {
		t.Fatal(err)
	}
	for _, step := range []int{10_000, 128 << 10, 1 << 20} {
		for _, gap := range []int{0, 100, 100_000} {
			o, err := s.Open(t.Context(), "k")
			if err != nil {
				t.Fatal(err)
			}
			for off := 0; off < len(data); off += step + gap {
				b := make([]byte, step)
				n, err := o.ReadAt(b, int64(off))
				if want := data[off:min(off+step, len(data))]; !bytes.Equal(b[:n], want) || err != nil && err != io.EOF {
					t.Fatalf("ReadAt(%d, %d) = %d, %v", step, off, n, err)
				}
			}
			o.Close()
		}
	}
}

// Writers go on through two crashes of the server: every key has one winner and whole bytes.
// countingWriter counts what a server answers.
type countingWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (w countingWriter) Write(b []byte) (int, error) {
	w.n.Add(int64(len(b)))
	return w.ResponseWriter.Write(b)
}

// Who reads on, with or without small gaps, fetches little twice, and not much that is not read.
func TestReadAheadIsFetchedOnce(t *testing.T) {
	server := s3test.Start(t, bucket)
	proxy := s3test.NewProxy(t, "127.0.0.1:0", server.URL(), s3test.Faults{})
	var fetched atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxy.ServeHTTP(countingWriter{w, &fetched}, r)
	}))
	t.Cleanup(front.Close)
	t.Setenv("ACTFLEET_S3_ENDPOINT", front.URL)
	s := open(t, config(), "run")
	data := make([]byte, 24<<20)
	if err := store.Put(t.Context(), s, "k", data); err != nil {
		t.Fatal(err)
	}
	for _, step := range []int{10_000, 700_000, 1 << 20} {
		for _, gap := range []int{0, 30_000} {
			fetched.Store(0)
			o, err := s.Open(t.Context(), "k")
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, step)
			for off := 0; off+step <= len(data); off += step + gap {
				if _, err := o.ReadAt(b, int64(off)); err != nil {
					t.Fatal(err)
				}
			}
			o.Close()
			t.Logf("steps of %d, gaps of %d: %.3f of the object was fetched", step, gap, float64(fetched.Load())/float64(len(data)))
			if fetched.Load() > int64(len(data))+128<<10 {
				t.Errorf("steps of %d, gaps of %d: %d bytes were fetched of %d", step, gap, fetched.Load(), len(data))
			}
		}
	}
}

func TestServerRestarts(t *testing.T) {
	server := s3test.Start(t, bucket)
	if !server.Atomic() {
		t.Skip("the temporary directory has no extended attributes")
	}
	const writers, keys = 4, 40
	wins := make([]atomic.Int64, keys)
	var done atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		s := retry.Wrap(open(t, config(), "run"), config().Retry)
		wg.Go(func() {
			for k := range keys {
				err := store.Put(t.Context(), s, fmt.Sprintf("acts/%02d", k), bytes.Repeat([]byte{byte(w)}, 200_000))
				if err == nil {
					wins[k].Add(1)
				} else if !errors.Is(err, store.ErrExists) {
					t.Errorf("writer %d, key %d: %v", w, k, err)
				}
				done.Add(1)
			}
		})
	}
	for _, at := range []int64{writers * keys / 4, writers * keys / 2} {
		for done.Load() < at {
			time.Sleep(time.Millisecond)
		}
		server.Kill()
		time.Sleep(100 * time.Millisecond)
		server.Launch(t)
	}
	wg.Wait()
	s := open(t, config(), "run")
	for k := range keys {
		if n := wins[k].Load(); n != 1 {
			t.Errorf("key %d has %d winners", k, n)
		}
		data, err := store.Get(t.Context(), s, fmt.Sprintf("acts/%02d", k), 1<<20)
		if err != nil || len(data) != 200_000 || slices.Max(data) != slices.Min(data) {
			t.Errorf("key %d: %d bytes, %v", k, len(data), err)
		}
	}
}

// A listing of more than one page is whole.
func TestPages(t *testing.T) {
	s3test.Start(t, bucket)
	s := open(t, config(), "")
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < 1100; i += 8 {
				if err := store.Put(t.Context(), s, "acts/"+strconv.Itoa(i), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	infos, err := s.List(t.Context(), "acts/")
	if err != nil || len(infos) != 1100 || !slices.IsSortedFunc(infos, func(a, b store.Info) int { return strings.Compare(a.Key, b.Key) }) {
		t.Errorf("%d objects, %v", len(infos), err)
	}
}
