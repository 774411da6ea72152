package model

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"actfleet/collector/model/layer"
)

// Prefix is the beginning that many prompts share, taken through the network once: Forward goes on from
// it (Request.After). Several Forwards may use one at a time; whoever made it frees it after the last.
type Prefix struct {
	IDs []int32

	past map[*Model][]layer.Past // of each block that was computed
}

// Len is the number of tokens; 0 for nil.
func (p *Prefix) Len() int {
	if p == nil {
		return 0
	}
	return len(p.IDs)
}

// ids are the tokens; none for nil.
func (p *Prefix) ids() []int32 {
	if p == nil {
		return nil
	}
	return p.IDs
}

// Free ends what the blocks remember. Freeing nil does nothing.
func (p *Prefix) Free() {
	if p == nil {
		return
	}
	for _, past := range p.past {
		for i := range past {
			past[i].Free()
		}
	}
}

// of is what m's blocks remember.
func (p *Prefix) of(m *Model) []layer.Past {
	if p == nil {
		return nil
	}
	return p.past[m]
}

// Prefix runs the one prompt of r as Forward does, taps and all, and keeps what the Forwards after it need
// to go on from there: those with the same taps and logits, or with fewer.
func (m *Model) Prefix(ctx context.Context, r Request) (*Prefix, error) {
	return newPrefix(ctx, r, m)
}

// newPrefix is the Prefix of copies of one model, which compute it side by side; the first one's taps are emitted.
func newPrefix(ctx context.Context, r Request, models ...*Model) (*Prefix, error) {
	if len(r.IDs) != 1 || r.After != nil {
		return nil, fmt.Errorf("a prefix is one prompt from its beginning; the request has %d", len(r.IDs))
	}
	blocks := models[0].blocks(r)
	r.Logits, r.Next = false, nil
	p := &Prefix{IDs: slices.Clone(r.IDs[0]), past: map[*Model][]layer.Past{}}
	for _, m := range models {
		p.past[m] = make([]layer.Past, blocks)
	}
	running, ctx := errgroup.WithContext(ctx)
	for _, m := range models {
		own, past := r, p.past[m]
		r = Request{IDs: r.IDs}
		running.Go(func() error {
			_, err := m.run(ctx, own, past, blocks)
			return err
		})
	}
	if err := running.Wait(); err != nil {
		p.Free()
		return nil, err
	}
	return p, nil
}
