package run

import (
	"context"
	"errors"
	"fmt"

	"actfleet/shard/store"
)

// Rival is a shard that a node made differently from the committed one of its unit, and kept.
type Rival struct {
	Unit      int
	Key       string // of DivergedKey
	SHA256    string
	Committed string // SHA-256 of the shard that counts
}

// String names both shards.
func (r Rival) String() string {
	return fmt.Sprintf("two nodes made it differently: SHA-256 %s here, %s in %s; find out which is wrong and delete that one", r.Committed, r.SHA256, r.Key)
}

// Rivals returns the shards that dispute those of a run. One that has the committed one's bytes by now, because that was
// wrong and was made anew, is settled, and so is one whose unit has no shard.
func Rivals(ctx context.Context, st store.Store, p Plan) ([]Rival, error) {
	infos, err := st.List(ctx, divergedPrefix)
	if err != nil {
		return nil, err
	}
	var rivals []Rival
	for _, info := range infos {
		u, ok := parseDivergedKey(info.Key)
		if !ok || u >= p.NumUnits() {
			continue
		}
		r := Rival{Unit: u, Key: info.Key}
		if r.SHA256, err = Digest(ctx, st, info.Key); err != nil {
			return nil, err
		}
		r.Committed, err = CommittedDigest(ctx, st, p, u)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if err == nil && r.SHA256 != r.Committed {
			rivals = append(rivals, r)
		}
	}
	return rivals, nil
}

// parseDivergedKey is the unit of a DivergedKey.
func parseDivergedKey(key string) (u int, ok bool) {
	n, err := fmt.Sscanf(key, divergedPrefix+"%06d-", &u)
	return u, err == nil && n == 1 && u >= 0
}
