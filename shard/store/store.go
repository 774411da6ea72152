package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Errors that a caller decides on. Implementations wrap them with the key.
var (
	// ErrExists says that another writer committed the key first.
	ErrExists = errors.New("object exists")
	// ErrNotFound says that no committed object has the key.
	ErrNotFound = errors.New("object not found")
	// ErrKey says that the key breaks the rules of CheckKey.
	ErrKey = errors.New("invalid key")
	// ErrClosed says that a pending object was written after Commit or Abort.
	ErrClosed = errors.New("pending object is closed")
	// ErrUnavailable says that the store could not be reached or was overloaded: the same call may succeed later.
	ErrUnavailable = errors.New("store is unavailable")
)

// Store holds immutable objects. All methods may be called from several goroutines at once.
type Store interface {
	// Create begins a new object. It does not look whether the key is taken; Commit does.
	Create(ctx context.Context, key string) (Pending, error)
	// Open reads a committed object, or returns ErrNotFound.
	Open(ctx context.Context, key string) (Object, error)
	// List returns the committed objects whose key begins with prefix, sorted by key. The prefix is compared as
	// text: "acts/unit-00" is a good prefix. No match is an empty list.
	List(ctx context.Context, prefix string) ([]Info, error)
	// Delete removes an object. Deleting what is not there is no error.
	Delete(ctx context.Context, key string) error
	// String names the store for people: a directory, a bucket.
	String() string
}

// Pending is an object being written, by one goroutine. Every Pending must end in Commit or Abort; both free it.
type Pending interface {
	io.Writer
	// Commit puts the object at its key if the key is free, and returns ErrExists if it is not. The object is durable
	// when Commit returns nil. After any error the pending object is gone.
	Commit(ctx context.Context) error
	// Abort drops the object. It may be called again, and after Commit, where it does nothing.
	Abort() error
}

// Object is a committed object open for reading, from several goroutines at once.
type Object interface {
	io.ReaderAt
	io.Closer
	// Size is the length in bytes.
	Size() int64
}

// Mapped is an Object whose bytes lie in memory or in a memory map. The slice must not be written to, and is
// invalid after Close. Need begins to bring a range into memory and does not wait for it; a range that was not asked
// for comes page by page as it is touched, which is slow.
type Mapped interface {
	Object
	Bytes() []byte
	Need(off, size int64)
}

// Summed is an Object whose store keeps the SHA-256 that its writer gave, in hex, so that nobody need read a whole
// object to name its digest. It is "" where the store does not know it. Whoever proves a run reads the bytes.
type Summed interface {
	Object
	SHA256() string
}

// Info describes a committed object.
type Info struct {
	Key     string
	Size    int64
	ModTime time.Time
}

// MaxKey is the greatest length of a key in bytes; one part of it, between slashes, holds at most MaxKeyPart. They are
// the limits of S3 and of common file systems, less room for a temporary suffix.
const (
	MaxKey     = 1024
	MaxKeyPart = 200
)

// CheckKey returns ErrKey unless key is a relative slash path that every store can hold: no empty part, no part that
// begins with a dot (so neither "." nor ".." nor a hidden file), no backslash, no control character, valid UTF-8.
func CheckKey(key string) error {
	if len(key) > MaxKey || !utf8.ValidString(key) || strings.ContainsFunc(key, badRune) {
		return fmt.Errorf("%w %.80q", ErrKey, key)
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' || len(part) > MaxKeyPart {
			return fmt.Errorf("%w %.80q: bad part %.80q", ErrKey, key, part)
		}
	}
	return nil
}

// CheckPrefix returns ErrKey unless prefix can be the beginning of a key. The empty prefix is allowed.
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return CheckKey(strings.TrimSuffix(prefix, "/"))
}

func badRune(r rune) bool { return r == '\\' || unicode.IsControl(r) }

// Put creates and commits an object from bytes, if absent.
func Put(ctx context.Context, s Store, key string, data []byte) error {
	return PutFrom(ctx, s, key, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// PutFrom is Put of what write writes.
func PutFrom(ctx context.Context, s Store, key string, write func(io.Writer) error) (err error) {
	p, err := s.Create(ctx, key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Abort()) }()
	if err := write(p); err != nil {
		return err
	}
	return p.Commit(ctx)
}

// Exists tells whether an object is committed.
func Exists(ctx context.Context, s Store, key string) (bool, error) {
	o, err := s.Open(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, o.Close()
}

// Get reads a whole object of at most limit bytes.
func Get(ctx context.Context, s Store, key string, limit int64) ([]byte, error) {
	o, err := s.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	if o.Size() > limit {
		return nil, fmt.Errorf("read %s from %s: %d bytes, expected at most %d", key, s, o.Size(), limit)
	}
	return whole(s, key, o)
}

// View hands the bytes of a whole object to use, without a copy where the object is in memory. They are not valid
// afterwards.
func View(ctx context.Context, s Store, key string, use func(data []byte) error) (err error) {
	o, err := s.Open(ctx, key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	if m, ok := o.(Mapped); ok {
		m.Need(0, o.Size())
		return use(m.Bytes())
	}
	data, err := whole(s, key, o)
	if err != nil {
		return err
	}
	return use(data)
}

func whole(s Store, key string, o Object) ([]byte, error) {
	data := make([]byte, o.Size())
	if n, err := o.ReadAt(data, 0); err != nil && !(errors.Is(err, io.EOF) && n == len(data)) {
		return nil, fmt.Errorf("read %s from %s: %w", key, s, err)
	}
	return data, nil
}
