package s3

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/minio/minio-go/v7"

	"actfleet/shard/store"
)

const (
	// tailBytes of an object come with Open: a shard's footer begins there.
	tailBytes = 64 << 10
	// smallRead is the size below which a read fetches windowBytes, because the next bytes are often asked for next.
	smallRead   = 64 << 10
	windowBytes = 256 << 10
	// Reads that follow each other, with gaps of at most maxGap, double the window up to maxWindow.
	maxGap    = 64 << 10
	maxWindow = 4 << 20
)

// object reads by ranges. It keeps its end and the last window it fetched.
type object struct {
	store *Store
	key   string
	size  int64
	etag  string // of the object that was opened: a range of another one is refused
	sum   string // SHA-256 in hex, as its writer gave it

	mu     sync.Mutex
	tail   window
	recent window
	next   int64 // where the last read ended
	ahead  int64 // how much the next read fetches if it goes on from there
}

var _ store.Summed = (*object)(nil)

// window is a range of an object in memory.
type window struct {
	off  int64
	data []byte
}

// read copies the beginning of b as far as it lies in the window.
func (w window) read(b []byte, off int64) int {
	if off < w.off || off >= w.off+int64(len(w.data)) {
		return 0
	}
	return copy(b, w.data[off-w.off:])
}

// Open asks for the end of an object, which says how long it is.
func (s *Store) Open(ctx context.Context, key string) (store.Object, error) {
	if err := check(ctx, key); err != nil {
		return nil, err
	}
	ctx, stop := s.attempt(ctx, tailBytes)
	defer stop()
	var o minio.GetObjectOptions
	if err := o.SetRange(0, -tailBytes); err != nil {
		return nil, err
	}
	body, info, header, err := s.client.GetObject(ctx, s.bucket, s.prefix+key, o)
	switch {
	case code(err) == http.StatusRequestedRangeNotSatisfiable: // an empty object has no end
		return s.openEmpty(ctx, key)
	case code(err) == http.StatusNotFound && reason(err) != minio.NoSuchBucket:
		return nil, fmt.Errorf("open %s in %s: %w", key, s, store.ErrNotFound)
	case err != nil:
		return nil, s.explain(ctx, "open", key, err)
	}
	defer body.Close()
	obj := &object{store: s, key: key, size: info.Size, etag: info.ETag, sum: info.UserMetadata[sumField]}
	if _, total, ok := contentRange(header); ok {
		obj.size = total
	}
	if info.Size <= tailBytes { // else the server knows no ranges from the end, and sends all
		obj.tail = window{off: obj.size - info.Size, data: make([]byte, info.Size)}
		_, err = io.ReadFull(body, obj.tail.data)
	}
	return obj, s.explain(ctx, "open", key, err)
}

func (s *Store) openEmpty(ctx context.Context, key string) (store.Object, error) {
	info, err := s.client.StatObject(ctx, s.bucket, s.prefix+key, minio.StatObjectOptions{})
	if code(err) == http.StatusNotFound {
		return nil, fmt.Errorf("open %s in %s: %w", key, s, store.ErrNotFound)
	}
	if err != nil {
		return nil, s.explain(ctx, "open", key, err)
	}
	return &object{store: s, key: key, size: info.Size, etag: info.ETag, sum: info.UserMetadata[sumField]}, nil
}

// contentRange parses "bytes FIRST-LAST/TOTAL".
func contentRange(h http.Header) (first, total int64, ok bool) {
	span, all, _ := strings.Cut(strings.TrimPrefix(h.Get("Content-Range"), "bytes "), "/")
	from, _, _ := strings.Cut(span, "-")
	first, err := strconv.ParseInt(from, 10, 64)
	if err != nil {
		return 0, 0, false
	}
	total, err = strconv.ParseInt(all, 10, 64)
	return first, total, err == nil
}

func (o *object) Size() int64  { return o.size }
func (o *object) Close() error { return nil }

// SHA256 is in hex, "" for an object that another program wrote.
func (o *object) SHA256() string { return o.sum }

// ReadAt asks for one range; small reads are served from memory where they can be.
func (o *object) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s in %s: offset %d", o.key, o.store, off)
	}
	if off >= o.size {
		return 0, endOf(b)
	}
	want := b[:min(int64(len(b)), o.size-off)]
	n, err := o.read(want, off)
	if err == nil && n < len(b) {
		err = io.EOF
	}
	return n, err
}

func endOf(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return io.EOF
}

func (o *object) read(b []byte, off int64) (int, error) {
	if k := o.cached(b, off); k == len(b) {
		return k, nil
	} else if k > 0 { // only what is missing is asked for
		n, err := o.read(b[k:], off+int64(k))
		return k + n, err
	}
	n := o.follow(off, int64(len(b)))
	if n <= int64(len(b)) {
		return o.fetch(b, off)
	}
	w := window{off: off, data: make([]byte, min(n, o.size-off))}
	if _, err := o.fetch(w.data, off); err != nil {
		return 0, err
	}
	o.mu.Lock()
	o.recent = w
	o.mu.Unlock()
	return copy(b, w.data), nil
}

// follow says how much to fetch for a read of n bytes at off that is not in memory.
func (o *object) follow(off, n int64) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if gap := off - o.next; o.next > 0 && gap >= 0 && gap <= maxGap {
		o.ahead = min(max(2*o.ahead, windowBytes), maxWindow)
	} else {
		o.ahead = 0
	}
	o.next = off + n
	if n < smallRead {
		return max(o.ahead, windowBytes)
	}
	return max(o.ahead, n)
}

// cached copies what is in memory of the beginning of b.
func (o *object) cached(b []byte, off int64) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := max(o.recent.read(b, off), o.tail.read(b, off))
	if n > 0 {
		o.next = off + int64(n)
	}
	return n
}

// fetch reads all of b from the server, or says how much it got.
func (o *object) fetch(b []byte, off int64) (int, error) {
	s := o.store
	ctx, stop := s.attempt(s.ctx, int64(len(b)))
	defer stop()
	var opts minio.GetObjectOptions
	if err := opts.SetRange(off, off+int64(len(b))-1); err != nil {
		return 0, err
	}
	if o.etag != "" {
		if err := opts.SetMatchETag(o.etag); err != nil {
			return 0, err
		}
	}
	body, _, header, err := s.client.GetObject(ctx, s.bucket, s.prefix+o.key, opts)
	if code(err) == http.StatusPreconditionFailed {
		return 0, fmt.Errorf("read %s in %s: somebody replaced it while it was read", o.key, s)
	}
	if err != nil {
		return 0, s.explain(ctx, "read", o.key, err)
	}
	defer body.Close()
	if first, _, ok := contentRange(header); !ok || first != off {
		return 0, fmt.Errorf("read %s in %s: asked for bytes from %d, got %q: the server knows no ranges", o.key, s, off, header.Get("Content-Range"))
	}
	n, err := io.ReadFull(body, b)
	return n, s.explain(ctx, "read", o.key, err)
}
