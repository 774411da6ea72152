package model

import (
	"errors"
	"fmt"

	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
)

// Cache is what the blocks remember of the prompts of one batch, so that each goes on a token at a time without its
// beginning being computed again. The first Forward that names it (Request.Cache) fills it, each one after that adds a
// token to every prompt. One Forward at a time may use it; whoever made it frees it.
type Cache struct {
	m       *Model
	blocks  []layer.Cache
	lengths []int // positions that are remembered of each prompt; nil: none yet
}

// NewCache is an empty one.
func (m *Model) NewCache() *Cache { return &Cache{m: m, blocks: make([]layer.Cache, m.info.Layers)} }

// Free ends what is remembered.
func (c *Cache) Free() {
	for i := range c.blocks {
		c.blocks[i].Free()
	}
}

// Keep keeps some prompts of the batch, by their places in it, in this order.
func (c *Cache) Keep(rows []int) error {
	at, lengths := make([]int64, len(rows)), make([]int, len(rows))
	for i, b := range rows {
		if b < 0 || b >= len(c.lengths) {
			return fmt.Errorf("keep prompt %d of a batch of %d", b, len(c.lengths))
		}
		at[i], lengths[i] = int64(b), c.lengths[b]
	}
	err := torch.Do(func(s *torch.Scope) error {
		rows := torch.FromInt64(s, at, int64(len(at)))
		for i := range c.blocks {
			c.blocks[i].Keep(s, rows)
		}
		return nil
	})
	if err == nil {
		c.lengths = lengths
	}
	return err
}

// Forget takes the last n positions of every prompt away again.
func (c *Cache) Forget(n int) error {
	lengths := make([]int, len(c.lengths))
	for b, have := range c.lengths {
		if n < 0 || n >= have {
			return fmt.Errorf("forget %d of %d positions of prompt %d", n, have, b)
		}
		lengths[b] = have - n
	}
	if n > 0 {
		c.lengths = lengths
	}
	return nil
}

// check refuses a request that a cache cannot serve.
func (c *Cache) check(r Request) error {
	switch {
	case c == nil:
		return nil
	case !r.predicts() || r.From != nil:
		return errors.New("what a pass remembers is for the tokens that come after it: ask for what comes next, and for the prompts from their beginning")
	case c.lengths == nil:
		return nil
	case len(r.IDs) != len(c.lengths) || r.After != nil:
		return fmt.Errorf("%d prompts are remembered, %d go on", len(c.lengths), len(r.IDs))
	}
	for b, n := range c.lengths {
		if len(r.IDs[b]) != 1 {
			return fmt.Errorf("prompt %d goes on by %d tokens; one at a time", b, len(r.IDs[b]))
		}
		if !c.m.net.Alike(n, n+1) {
			return fmt.Errorf("%w: with %d positions %s computes the first %d otherwise", errOtherwise, n+1, c.m.info.Name, n)
		}
	}
	return nil
}

// errOtherwise says that a prompt has become so long that its beginning must be computed anew.
var errOtherwise = errors.New("what is remembered does not hold for a longer prompt")

// at is the position of each prompt's next token; nil while nothing is remembered.
func (c *Cache) at() []int {
	if c == nil {
		return nil
	}
	return c.lengths
}
