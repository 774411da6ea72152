package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"actfleet/shard"
	"actfleet/shard/store"
)

// maxRingObject bounds acknowledgements and tombstones; an Ended lists at most some spans of units.
const maxRingObject = 64 << 20

// ErrOtherReader says that somebody else acknowledges under the same name, or that the same reader reads differently now.
var ErrOtherReader = errors.New("another training reads the ring under this name")

// Acknowledge says that a reader has read every row of a unit for good. Saying it again is no error.
func Acknowledge(ctx context.Context, st store.Store, a Ack) error {
	return putSame(ctx, st, AckKey(a.Reader, a.Unit), canonicalJSON(a))
}

// End says that a reader needs no more of a ring.
func End(ctx context.Context, st store.Store, e Ended) error {
	return putSame(ctx, st, EndedKey(e.Reader), canonicalJSON(e))
}

// putSame puts an object, or finds the same one.
func putSame(ctx context.Context, st store.Store, key string, data []byte) error {
	err := store.Put(ctx, st, key, data)
	if !errors.Is(err, store.ErrExists) {
		return err
	}
	there, err := store.Get(ctx, st, key, maxRingObject)
	if err == nil && !bytes.Equal(there, data) {
		err = fmt.Errorf("%s in %s is %s, now it would be %s: %w", key, st, bytes.TrimSpace(there), bytes.TrimSpace(data), ErrOtherReader)
	}
	return err
}

// ReadTombstone reads that of a unit; store.ErrNotFound means that the unit is not gone.
func ReadTombstone(ctx context.Context, st store.Store, u int) (Tombstone, error) {
	t, err := readRing[Tombstone](ctx, st, GoneKey(u))
	if err == nil && t.Key != UnitKey(u) {
		err = fmt.Errorf("%s in %s: %w: it is of %.80q", GoneKey(u), st, shard.ErrCorrupt, t.Key)
	}
	return t, err
}

// readRing reads an object of a ring.
func readRing[T any](ctx context.Context, st store.Store, key string) (v T, err error) {
	data, err := store.Get(ctx, st, key, maxRingObject)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("read %s in %s: %w: %w", key, st, shard.ErrCorrupt, err)
	}
	return v, nil
}

// Sweep deletes the shards of a ring that every reader has acknowledged and leaves a tombstone of each, and deletes what a
// late node committed although there is a tombstone. Any number of processes may do it at once, and die on the way.
func (s *RingState) Sweep(ctx context.Context, st store.Store) error {
	for u := range s.there {
		if !s.due(u) {
			continue
		}
		if err := s.bury(ctx, st, u); err != nil {
			return fmt.Errorf("delete unit %d, which every reader has read: %w", u, err)
		}
		s.gone[u], s.there[u] = true, false
	}
	return nil
}

// bury puts the tombstone of a unit and then deletes its shard.
func (s *RingState) bury(ctx context.Context, st store.Store, u int) error {
	if !s.gone[u] {
		t, err := entomb(ctx, st, s.plan, u)
		if err == nil {
			err = s.agree(ctx, st, u, t.Tally())
		}
		if err == nil {
			err = store.Put(ctx, st, GoneKey(u), canonicalJSON(t))
		}
		if err != nil { // somebody else may have done it meanwhile, and the shard be gone while it was read
			_, err = orGone(ctx, st, u, t.UnitFile, err)
		}
		if err != nil {
			return err
		}
	}
	return st.Delete(ctx, UnitKey(u))
}

// entomb describes a shard by reading all of its bytes, and its keys.
func entomb(ctx context.Context, st store.Store, p Plan, u int) (t Tombstone, err error) {
	if t.UnitFile, err = describeUnit(ctx, st, p.ID(), u); err != nil {
		return t, err
	}
	r, err := shard.Open(ctx, st, UnitKey(u))
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var all Tally
	for g := range r.NumGroups() {
		cols, err := r.Scalars(g, "row", "pos")
		if err != nil {
			return t, err
		}
		for i, prompt := range cols[0].([]int64)[:r.GroupRows(g)] {
			all.Add(prompt, cols[1].([]int32)[i])
		}
	}
	t.Keys = all.Keys
	return t, nil
}

// agree compares what the readers acknowledged with the rows that the shard has.
func (s *RingState) agree(ctx context.Context, st store.Store, u int, want Tally) error {
	for _, r := range s.plan.Ring.Readers {
		if !s.acks[r][u] {
			continue // it has ended
		}
		a, err := readRing[Ack](ctx, st, AckKey(r, u))
		if err == nil && a.Tally != want {
			err = fmt.Errorf("%s in %s: %w: the reader read %v, the shard has %v", AckKey(r, u), st, shard.ErrCorrupt, a.Tally, want)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// CommittedDigest is the SHA-256 of a unit's shard, also of one that is gone.
func CommittedDigest(ctx context.Context, st store.Store, p Plan, u int) (string, error) {
	sum, err := Digest(ctx, st, UnitKey(u))
	if p.Ring != nil && errors.Is(err, store.ErrNotFound) {
		var t Tombstone
		t, err = ReadTombstone(ctx, st, u)
		sum = t.SHA256
	}
	return sum, err
}

// due tells whether a shard is there that nobody needs.
func (s *RingState) due(u int) bool {
	for _, r := range s.plan.Ring.Readers {
		if !s.released(r, u) {
			return false
		}
	}
	return s.there[u]
}
