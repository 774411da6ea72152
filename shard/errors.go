package shard

import (
	"errors"

	"actfleet/internal/mapped"
	"actfleet/shard/store"
)

// Errors that a caller decides on, to be tested with errors.Is.
var (
	// ErrCorrupt says that the bytes are not what a writer wrote: fetch or make the file again.
	ErrCorrupt = errors.New("corrupt shard")
	// ErrSchema says that the file or the request is not one of this format and version: use another program.
	ErrSchema = errors.New("not a shard of this format")
)

// IsDamage tells whether an error of reading a shard is about the shard: its bytes, or that it or a part of it is gone.
func IsDamage(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrSchema) || errors.Is(err, store.ErrNotFound) || errors.Is(err, mapped.ErrLost)
}
