package shardtest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"actfleet/shard/store"
)

// Shortening is a store in a directory whose shards become shorter while they are read: as soon as a reader says that
// it needs a range of one, the file is cut to its first page.
type Shortening struct {
	store.Store
	TB  testing.TB
	Dir string
}

// Open opens an object that will be cut if it is a shard of activations.
func (s Shortening) Open(ctx context.Context, key string) (store.Object, error) {
	o, err := s.Store.Open(ctx, key)
	if err != nil || !strings.HasPrefix(key, "acts/") {
		return o, err
	}
	return shortening{o.(store.Mapped), s.TB, filepath.Join(s.Dir, key)}, nil
}

type shortening struct {
	store.Mapped
	tb   testing.TB
	path string
}

// Need cuts the file.
func (s shortening) Need(int64, int64) {
	if err := os.Truncate(s.path, 4096); err != nil {
		s.tb.Error(err)
	}
}
