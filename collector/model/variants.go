package model

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"actfleet/collector/model/adapter"
	"actfleet/collector/model/layer"
	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// Adapter says which adapter a model has.
type Adapter struct {
	Name   string // of its variant: what its columns end with
	Digest string // SHA-256, hex, over what decides its mathematics
	// First is the layer of the first block that it changes: the states before it, and all that is tapped there, are the
	// base's. It is the number of layers where the output matrix alone is another one.
	First int
	// Embed says that the embedding is another one too.
	Embed bool
}

// variant is what makes a Model one with an adapter on.
type variant struct {
	adapter Adapter
	bound   *adapter.Binding
}

// adapterName is what may stand behind the __ of a column.
var adapterName = regexp.MustCompile(`^[A-Za-z0-9]+(_[A-Za-z0-9]+)*$`)

// Adapt adds an adapter to the model under a name: Request.Adapted asks for it, With turns it on. What the model computes
// by itself does not change. Errors: adapter.ErrMismatch, adapter.ErrCorrupt, adapter.ErrUnsupported, or what the file
// system says. It must not be called while a Forward runs.
func (m *Model) Adapt(name string, set *adapter.Set) error {
	if !adapterName.MatchString(name) {
		return fmt.Errorf("adapter %q: want a name of letters, digits and single underscores between them, which columns end with", name)
	}
	if m.With(name) != nil {
		return fmt.Errorf("adapter %s: there is one of this name already", name)
	}
	set = set.Named(m.net.Modules())
	for _, st := range set.Steps {
		if first := m.Same(st.At.Site); first != st.At.Site {
			return fmt.Errorf("adapter %s: %w: %s is %s in %s: name that site", name, adapter.ErrUnsupported, st.At.Site, first, m.info.Name)
		}
	}
	v := *m
	v.adapted = nil
	err := torch.Do(func(s *torch.Scope) (err error) {
		net, first := m.net, m.info.Layers
		if len(set.Weights) > 0 {
			if net, first, err = m.reread(s, set); err != nil {
				return err
			}
		}
		b, err := adapter.Bind(s, net, set, adapter.Fixed)
		if err != nil {
			return err
		}
		first = min(first, b.First)
		v.net = b.Network
		v.variant = &variant{adapter: Adapter{Name: name, Digest: set.Digest, First: max(first, 0), Embed: first < 0}, bound: b}
		return nil
	})
	if err != nil {
		return fmt.Errorf("adapter %s on %s: %w", name, m.info.Name, err)
	}
	m.adapted = append(m.adapted, &v)
	return nil
}

// Adapters are those of the model, in the order in which they came.
func (m *Model) Adapters() (all []Adapter) {
	for _, v := range m.adapted {
		all = append(all, v.variant.adapter)
	}
	return all
}

// With is the model with an adapter on, which shares the base's weights; "" is the model itself. It is nil without an
// adapter of that name.
func (m *Model) With(name string) *Model {
	if name == "" {
		return m
	}
	for _, v := range m.adapted {
		if v.variant.adapter.Name == name {
			return v
		}
	}
	return nil
}

// branch is a variant's part of a request.
type branch struct {
	of     *Model
	r      Request
	blocks int // that its pass needs
	begins int // that are the base's; −1: not even the embedding is
}

// branches cuts a request into the variants' parts and the base's, whose pass goes through so many blocks.
func (m *Model) branches(r Request) (parts []branch, base Request, blocks int, err error) {
	if r.Adapted != nil && len(r.Adapted) != len(m.adapted) {
		return nil, base, 0, fmt.Errorf("taps are asked for of %d adapters, %s has %d", len(r.Adapted), m.info.Name, len(m.adapted))
	}
	if len(r.Adapted) > 0 && (r.Cache != nil || r.Patch != nil) {
		return nil, base, 0, errors.New("a cache or a patch is one variant's: turn the adapter on (With) and ask it alone")
	}
	requests, base := r.split()
	blocks = m.blocks(base)
	for i, sub := range requests {
		if v := m.adapted[i]; len(sub.Taps) > 0 || sub.predicts() {
			b := branch{v, sub, v.blocks(sub), -1}
			if a := v.variant.adapter; !a.Embed {
				b.begins = min(a.First, b.blocks)
			}
			blocks = max(blocks, b.begins)
			parts = append(parts, b)
		}
	}
	return parts, base, blocks, nil
}

// each runs the base's pass of a request, which holds its states where variants go on from them, and then theirs. With
// mute set, nobody is told what comes next.
func (m *Model) each(ctx context.Context, r Request, past func(*Model) []layer.Past, mute bool) (logits [][]float32, err error) {
	parts, base, blocks, err := m.branches(r)
	if err != nil {
		return nil, err
	}
	hold := map[int]*torch.Tensor{}
	defer func() {
		for _, x := range hold {
			x.Free()
		}
	}()
	for _, b := range parts {
		if b.begins >= 0 {
			hold[b.begins] = nil
		}
	}
	if logits, err = m.run(ctx, base.muted(mute), past(m), blocks, hold); err != nil {
		return nil, err
	}
	for _, b := range parts {
		if b.begins >= 0 {
			b.r.From = &Begun{m: b.of, r: Request{IDs: r.IDs, After: r.After}, blocks: b.begins, states: hold[b.begins]}
		}
		more, err := b.of.run(ctx, b.r.muted(mute), past(b.of), b.blocks, nil)
		if err != nil {
			return nil, fmt.Errorf("adapter %s: %w", b.of.variant.adapter.Name, err)
		}
		logits = append(logits, more...)
	}
	return logits, nil
}

// muted is the request without what it asks of the next tokens, if mute is set.
func (r Request) muted(mute bool) Request {
	if mute {
		r.Logits, r.Next = false, nil
	}
	return r
}

// split cuts a request into one for each adapter and the base's.
func (r Request) split() (adapted []Request, base Request) {
	n := len(r.Taps)
	for _, taps := range r.Adapted {
		sub, from := r, n
		sub.Adapted, sub.Taps = nil, taps
		if r.Emit != nil {
			sub.Emit = func(i int, v View) error { return r.Emit(from+i, v) }
		}
		sub.Kept = r.Kept.part(from, len(taps))
		n += len(taps)
		adapted = append(adapted, sub)
	}
	base = r
	base.Adapted, base.Kept = nil, r.Kept.part(0, len(r.Taps))
	return adapted, base
}

// part is what k asks for of n taps from one on.
func (k *Kept) part(from, n int) *Kept {
	if k == nil {
		return nil
	}
	return &Kept{At: k.At, F32: k.F32[from:][:n], Emit: func(i int, rows Rows) error { return k.Emit(from+i, rows) }}
}

// Changes says whether a tap may hold something else with the adapter on.
func (a Adapter) Changes(t tap.Tap) bool { return a.Embed || t.Layer >= a.First && t.Site != tap.Embed }
