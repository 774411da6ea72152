package run

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"actfleet/shard"
	"actfleet/shard/store"
)

// Manifest lists the shards of a complete run.
type Manifest struct {
	PlanID string     `json:"plan_id"`
	Units  []UnitFile `json:"units"`
}

// UnitFile is one shard of a complete run.
type UnitFile struct {
	Key    string `json:"key"`
	Size   int64  `json:"size"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

// Rows is the number of rows of the run.
func (m Manifest) Rows() (n int64) {
	for _, u := range m.Units {
		n += u.Rows
	}
	return n
}

// ReadManifest reads the manifest of a run; store.ErrNotFound means that the run is not complete.
func ReadManifest(ctx context.Context, st store.Store) (Manifest, error) {
	data, err := store.Get(ctx, st, KeyManifest, maxPlan)
	if err != nil {
		return Manifest{}, err
	}
	m, err := ParseManifest(data)
	if err != nil {
		return Manifest{}, fmt.Errorf("read %s in %s: %w", KeyManifest, st, err)
	}
	return m, nil
}

// ParseManifest is the manifest of a manifest.json, or shard.ErrCorrupt.
func ParseManifest(data []byte) (m Manifest, err error) {
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%w: %w", shard.ErrCorrupt, err)
	}
	if len(m.Units) > shard.MaxUnits || !isSHA256(m.PlanID) {
		return m, fmt.Errorf("%w: %d units of plan %.80q", shard.ErrCorrupt, len(m.Units), m.PlanID)
	}
	var rows int64
	for u, f := range m.Units {
		if f.Key != UnitKey(u) || f.Size < 0 || f.Rows < 0 || rows+f.Rows < rows || !isSHA256(f.SHA256) {
			return m, fmt.Errorf("%w: unit %d is %.80q with %d bytes, %d rows and SHA-256 %.80q", shard.ErrCorrupt, u, f.Key, f.Size, f.Rows, f.SHA256)
		}
		rows += f.Rows
	}
	return m, nil
}

func isSHA256(s string) bool {
	sum, err := hex.DecodeString(s)
	return err == nil && len(sum) == sha256.Size
}

// Finish writes the manifest if every unit is committed, and reports whether the run has one. It reads every shard
// once to hash it. Several nodes may call it at the same time: the content is the same.
func Finish(ctx context.Context, st store.Store, p Plan) (Manifest, bool, error) {
	m, err := ReadManifest(ctx, st)
	if err == nil && m.PlanID != p.ID() {
		return m, false, fmt.Errorf("%s in %s belongs to plan %.12s, not %.12s: %w", KeyManifest, st, m.PlanID, p.ID(), ErrOtherPlan)
	}
	if err == nil && len(m.Units) != p.NumUnits() {
		return m, false, fmt.Errorf("%s in %s lists %d units of %d: %w", KeyManifest, st, len(m.Units), p.NumUnits(), shard.ErrCorrupt)
	}
	if err == nil || !errors.Is(err, store.ErrNotFound) {
		return m, err == nil, err
	}
	done, err := Committed(ctx, st, p)
	if err != nil || slices.Contains(done, false) {
		return Manifest{}, false, err
	}
	if m, err = describe(ctx, st, p); err != nil {
		return Manifest{}, false, err
	}
	return publish(ctx, st, m)
}

func publish(ctx context.Context, st store.Store, m Manifest) (Manifest, bool, error) {
	data := canonicalJSON(m)
	err := store.Put(ctx, st, KeyManifest, data)
	if !errors.Is(err, store.ErrExists) {
		return m, err == nil, err
	}
	there, err := ReadManifest(ctx, st)
	if err == nil && !bytes.Equal(canonicalJSON(there), data) {
		err = fmt.Errorf("%s in %s was written meanwhile and lists other shards: %w", KeyManifest, st, shard.ErrCorrupt)
	}
	return there, err == nil, err
}

// describe takes the digest of every unit, several at a time.
func describe(ctx context.Context, st store.Store, p Plan) (Manifest, error) {
	m := Manifest{PlanID: p.ID(), Units: make([]UnitFile, p.NumUnits())}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for u := range m.Units {
		g.Go(func() (err error) {
			m.Units[u], err = describeUnit(ctx, st, m.PlanID, u)
			if p.Ring != nil && err != nil {
				m.Units[u], err = orGone(ctx, st, u, m.Units[u], err)
			}
			return err
		})
	}
	return m, g.Wait()
}

// orGone is what the tombstone of a unit says whose shard could not be read, if there is one.
func orGone(ctx context.Context, st store.Store, u int, f UnitFile, err error) (UnitFile, error) {
	t, gone := ReadTombstone(ctx, st, u)
	switch {
	case gone == nil:
		return t.UnitFile, nil
	case errors.Is(gone, store.ErrNotFound):
		return f, err
	}
	return f, errors.Join(err, gone)
}

func describeUnit(ctx context.Context, st store.Store, planID string, u int) (UnitFile, error) {
	f := UnitFile{Key: UnitKey(u)}
	o, err := st.Open(ctx, f.Key)
	if err != nil {
		return f, err
	}
	defer o.Close()
	f.Size = o.Size()
	r, err := shard.NewReader(o, f.Size)
	if err != nil {
		return f, fmt.Errorf("%s in %s: %w", f.Key, st, err)
	}
	if id := (shard.Identity{PlanID: planID, Unit: u}); r.Identity() != id {
		return f, fmt.Errorf("%s in %s: %w: it says it is unit %d of plan %.12s", f.Key, st, shard.ErrCorrupt, r.Identity().Unit, r.Identity().PlanID)
	}
	f.Rows = r.NumRows()
	f.SHA256, err = shard.ObjectDigest(ctx, o)
	return f, err
}

// Digest is the SHA-256 of an object of a run, in hex.
func Digest(ctx context.Context, st store.Store, key string) (string, error) {
	o, err := st.Open(ctx, key)
	if err != nil {
		return "", err
	}
	defer o.Close()
	return shard.ObjectDigest(ctx, o)
}
