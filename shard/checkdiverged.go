package shard

import (
	"context"
	"errors"

	"actfleet/shard/store"
)

// diverged reports the units of which a node made another shard than the committed one. One that has the same bytes by
// now, because the committed one was wrong and was made anew, is settled.
func (c *checker) diverged(ctx context.Context) error {
	infos, err := c.store.List(ctx, divergedPrefix)
	if err != nil {
		return err
	}
	for _, info := range infos {
		u, ok := parseDivergedKey(info.Key)
		if !ok || u >= c.report.Units {
			c.damage(info.Key, "belongs to no unit of the plan")
			continue
		}
		if err := c.rival(ctx, u, info.Key); err != nil {
			return err
		}
	}
	return nil
}

// rival compares a unit's committed shard with another node's.
func (c *checker) rival(ctx context.Context, u int, key string) error {
	other, err := Digest(ctx, c.store, key)
	if err != nil {
		return err
	}
	here, err := Digest(ctx, c.store, UnitKey(u))
	if errors.Is(err, store.ErrNotFound) {
		return nil // it is missing, which is said elsewhere
	}
	if err == nil && here != other {
		c.damage(UnitKey(u), "two nodes made it differently: SHA-256 %s here, %s in %s; find out which is wrong and delete that one", here, other, key)
	}
	return err
}
