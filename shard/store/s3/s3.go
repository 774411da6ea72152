package s3

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"actfleet/shard/store"
)

// Store is a bucket, below a prefix. Make one with Open.
type Store struct {
	ctx       context.Context // of the reads, which have none of their own
	cfg       Config
	client    minio.Core
	transport *http.Transport
	bucket    string
	prefix    string // "" or ends in a slash
}

var _ store.Store = (*Store)(nil)

// ErrNoCondition says that the server overwrites objects although it was asked not to.
var ErrNoCondition = errors.New("the server ignores If-None-Match")

// probeKey is hidden: store.CheckKey refuses it, so that List leaves it out.
const probeKey = ".actfleet-probe"

// Open returns the store at s3://bucket/prefix after it has seen that bucket and credentials are good and, unless
// cfg.ReadOnly, that the server honours If-None-Match. Reads of its objects end with ctx.
func Open(ctx context.Context, address string, cfg Config) (*Store, error) {
	bucket, prefix, err := parse(address)
	if err != nil {
		return nil, err
	}
	client, transport, err := cfg.client()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", address, err)
	}
	s := &Store{ctx: ctx, cfg: cfg, client: minio.Core{Client: client}, transport: transport, bucket: bucket, prefix: prefix}
	look := s.probe
	if cfg.ReadOnly {
		look = s.reach
	}
	if err := cfg.Connect.Do(ctx, func() error { return look(ctx) }); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close gives back idle connections. The store can be used further.
func (s *Store) Close() { s.transport.CloseIdleConnections() }

// reach lists one object.
func (s *Store) reach(ctx context.Context) error {
	ctx, stop := s.attempt(ctx, 0)
	defer stop()
	for o := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix, MaxKeys: 1}) {
		return s.explain(ctx, "open", "", o.Err)
	}
	return nil
}

// probe puts one object twice. Of nodes that start at the same moment, and ever after, the first put may lose, too.
func (s *Store) probe(ctx context.Context) error {
	for range 2 {
		err := s.putProbe(ctx)
		if code(err) == http.StatusPreconditionFailed {
			return nil
		}
		if err != nil {
			return s.explain(ctx, "open", "", err)
		}
	}
	return fmt.Errorf("open %s: %w: two nodes would overwrite each other's work; use Amazon S3, or a server with conditional writes", s, ErrNoCondition)
}

func (s *Store) putProbe(ctx context.Context) error {
	ctx, stop := s.attempt(ctx, 0)
	defer stop()
	sum := sha256.Sum256(nil)
	_, err := s.client.Client.PutObject(ctx, s.bucket, s.prefix+probeKey, strings.NewReader(""), 0, putOptions("probe", sum[:]))
	return err
}

// String is s3://bucket/prefix.
func (s *Store) String() string { return Scheme + s.bucket + "/" + strings.TrimSuffix(s.prefix, "/") }

// Create begins a new object in the spool.
func (s *Store) Create(ctx context.Context, key string) (store.Pending, error) {
	if err := check(ctx, key); err != nil {
		return nil, err
	}
	if s.cfg.ReadOnly {
		return nil, fmt.Errorf("create %s in %s: it was opened for reading", key, s)
	}
	return newPending(s, key)
}

// List asks for a thousand objects at a time.
func (s *Store) List(ctx context.Context, prefix string) ([]store.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var infos []store.Info
	for o := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true}) {
		if o.Err != nil {
			return nil, s.explain(ctx, "list", prefix, o.Err)
		}
		if key := strings.TrimPrefix(o.Key, s.prefix); store.CheckKey(key) == nil {
			infos = append(infos, store.Info{Key: key, Size: o.Size, ModTime: o.LastModified})
		}
	}
	sort.Slice(infos, func(i, j int) bool { return infos[i].Key < infos[j].Key })
	return infos, ctx.Err()
}

// Delete removes an object.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	ctx, stop := s.attempt(ctx, 0)
	defer stop()
	err := s.client.RemoveObject(ctx, s.bucket, s.prefix+key, minio.RemoveObjectOptions{})
	if code(err) == http.StatusNotFound && reason(err) != minio.NoSuchBucket {
		return nil
	}
	return s.explain(ctx, "delete", key, err)
}

// attempt limits one request that moves n bytes.
func (s *Store) attempt(ctx context.Context, n int64) (context.Context, context.CancelFunc) {
	limit := s.cfg.Patience + time.Duration(n>>20)*time.Second
	return context.WithTimeoutCause(ctx, limit, errTimeOut)
}

// errTimeOut is the cause of a context that attempt ended.
var errTimeOut = errors.New("the server did not answer in time")

func check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return store.CheckKey(key)
}
