package model

import (
	"context"
	"errors"

	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// Begun is a batch taken through the first blocks of the network once: Forwards that differ only in what they
// replace behind these go on from it (Request.From). Several may use one at a time; whoever made it frees it after
// the last.
type Begun struct {
	m      *Model
	r      Request       // its IDs and After
	blocks int           // that were computed
	states *torch.Tensor // what the last of them put out, [B, T, Hidden] or, of prompts without padding, [1, N, Hidden]
}

// Free ends what was computed. Freeing nil does nothing.
func (b *Begun) Free() {
	if b != nil {
		b.states.Free()
	}
}

// Begin takes the prompts of r, after its prefix, through the first blocks of the network. Nothing is tapped there.
func (m *Model) Begin(ctx context.Context, r Request, blocks int) (*Begun, error) {
	if r.From != nil {
		return nil, errors.New("a batch begins with its prompts, not behind blocks that were computed")
	}
	r = Request{IDs: r.IDs, After: r.After}
	if blocks > 0 {
		r.Taps = []tap.Tap{{Site: tap.Resid, Layer: blocks - 1}}
	}
	if err := m.check(r); err != nil {
		return nil, err
	}
	b := &Begun{m: m, r: r, blocks: blocks}
	err := torch.Do(func(s *torch.Scope) error {
		p := newPass(m, r, r.After.of(m))
		defer p.free()
		err := p.through(ctx, s, blocks)
		b.states, p.x = p.x, nil
		return err
	})
	if err != nil {
		b.Free()
		return nil, err
	}
	return b, nil
}
