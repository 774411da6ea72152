package s3

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sys/unix"

	"actfleet/shard/store"
)

// MaxObject is the size of the largest object: what S3 takes in one PUT.
const MaxObject = 5 << 30

// The user metadata of an object. S3 sends the names back with capitals.
const (
	attemptField = "Actfleet-Attempt"
	sumField     = "Actfleet-Sha256"
)

type pending struct {
	store   *Store
	key     string
	attempt string   // unlike any other commit's
	file    *os.File // nil after Commit or Abort
	size    int64
	sum     hash.Hash
}

func newPending(s *Store, key string) (*pending, error) {
	dir := s.cfg.Spool
	if dir == "" {
		dir = os.TempDir()
	}
	f, err := openSpool(dir)
	if err != nil {
		return nil, fmt.Errorf("create %s: spool it in %s: %w", key, dir, err)
	}
	return &pending{store: s, key: key, attempt: rand.Text(), file: f, sum: sha256.New()}, nil
}

func (p *pending) Write(b []byte) (int, error) {
	if p.file == nil {
		return 0, fmt.Errorf("write %s: %w", p.key, store.ErrClosed)
	}
	if p.size+int64(len(b)) > MaxObject {
		return 0, fmt.Errorf("write %s: more than %d bytes, the most that S3 takes in one PUT", p.key, int64(MaxObject))
	}
	n, err := p.file.Write(b)
	p.size += int64(n)
	p.sum.Write(b[:n])
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return n, fmt.Errorf("write %s: no space left in the spool (TMPDIR names another directory): %w", p.key, err)
	}
	if err != nil {
		return n, fmt.Errorf("write %s to the spool: %w", p.key, err)
	}
	return n, nil
}

// Commit puts the object, and after any answer that leaves it in doubt looks who won.
func (p *pending) Commit(ctx context.Context) error {
	if p.file == nil {
		return fmt.Errorf("commit %s: %w", p.key, store.ErrClosed)
	}
	defer p.Abort()
	if err := ctx.Err(); err != nil {
		return err
	}
	doubt := false
	return p.store.cfg.Retry.Do(ctx, func() error {
		if doubt {
			if there, err := p.look(ctx); there || err != nil {
				return err
			}
		}
		err := p.put(ctx)
		if code(err) == http.StatusPreconditionFailed {
			return p.lost(ctx)
		}
		doubt = err != nil
		return p.store.explain(ctx, "commit", p.key, err)
	})
}

func (p *pending) put(ctx context.Context) error {
	ctx, stop := p.store.attempt(ctx, p.size)
	defer stop()
	o := putOptions(p.attempt, p.sum.Sum(nil))
	_, err := p.store.client.Client.PutObject(ctx, p.store.bucket, p.store.prefix+p.key, io.NewSectionReader(p.file, 0, p.size), p.size, o)
	if err != nil && errors.Is(context.Cause(ctx), errTimeOut) {
		err = errTimeOut
	}
	return err
}

// putOptions ask for one single-part PUT, if absent, whose bytes the server compares with sum.
func putOptions(attempt string, sum []byte) minio.PutObjectOptions {
	o := minio.PutObjectOptions{DisableMultipart: true, UserMetadata: map[string]string{
		attemptField: attempt, sumField: hex.EncodeToString(sum),
		"x-amz-checksum-sha256": base64.StdEncoding.EncodeToString(sum),
	}}
	o.SetMatchETagExcept("*")
	return o
}

// lost settles a 412, which the second delivery of the winning request gets, too.
func (p *pending) lost(ctx context.Context) error {
	there, err := p.look(ctx)
	if err == nil && !there {
		return fmt.Errorf("commit %s in %s: %w: the server says that it exists and does not show it; if that stays, delete it there", p.key, p.store, store.ErrUnavailable)
	}
	return err
}

// look says whether the object is there: with no error if it is this one, with ErrExists if it is another's.
func (p *pending) look(ctx context.Context) (there bool, err error) {
	ctx, stop := p.store.attempt(ctx, 0)
	defer stop()
	info, err := p.store.client.StatObject(ctx, p.store.bucket, p.store.prefix+p.key, minio.StatObjectOptions{})
	if code(err) == http.StatusNotFound && reason(err) != minio.NoSuchBucket {
		return false, nil
	}
	if err != nil {
		return false, p.store.explain(ctx, "commit", p.key, err)
	}
	if info.UserMetadata[attemptField] == p.attempt && info.UserMetadata[sumField] == hex.EncodeToString(p.sum.Sum(nil)) && info.Size == p.size {
		return true, nil
	}
	return true, fmt.Errorf("commit %s in %s: %w", p.key, p.store, store.ErrExists)
}

func (p *pending) Abort() error {
	if p.file == nil {
		return nil
	}
	err := p.file.Close()
	p.file = nil
	if err != nil {
		return fmt.Errorf("abort %s: %w", p.key, err)
	}
	return nil
}
