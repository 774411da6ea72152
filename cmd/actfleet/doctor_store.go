package main

import (
	"context"
	"errors"
	"fmt"

	"actfleet/shard/store"
)

// tryStore checks that of two commits under one key the second loses.
func tryStore(ctx context.Context, st store.Store) error {
	const key = "try"
	if err := store.Put(ctx, st, key, nil); err != nil {
		return err
	}
	if err := store.Put(ctx, st, key, nil); !errors.Is(err, store.ErrExists) {
		return fmt.Errorf("a second commit under one key ended with %v: this file system is not safe for a fleet", err)
	}
	return nil
}
