package parity

import (
	"context"
	"fmt"
	"math"
	"slices"

	"actfleet/collector/model"
	"actfleet/shard/tap"
)

// Forwarder is a loaded checkpoint: a model.Model, or model.Copies.
type Forwarder interface {
	Info() model.Info
	Width(t tap.Tap) int
	Forward(ctx context.Context, r model.Request) ([][]float32, error)
}

// Beside compares every tap and the logits of m with those of exact, the same checkpoint computed elsewhere or more
// precisely, on prompts, token ids. It holds the taps of one prompt at a time. Errors: ErrNotFinite, or what Forward returns.
func Beside(ctx context.Context, m, exact Forwarder, prompts [][]int32) (taps []Cell, last Cell, err error) {
	all := tapsOf(exact)
	taps, last = make([]Cell, len(all)), Cell{Site: logits}
	for i, t := range all {
		taps[i] = Cell{Site: t.Site, Layer: t.Layer}
	}
	for p, ids := range prompts {
		want, wantLast, err := vectors(ctx, exact, all, ids)
		if err != nil {
			return nil, last, err
		}
		got, gotLast, err := vectors(ctx, m, all, ids)
		if err != nil {
			return nil, last, err
		}
		for i := range taps {
			if err := taps[i].compare(got[i], want[i], p); err != nil {
				return nil, last, err
			}
		}
		if err := last.compare(gotLast, wantLast, p); err != nil {
			return nil, last, err
		}
	}
	return taps, last, nil
}

// vectors are what each tap gives for a prompt, and its logits, none where the checkpoint has no head.
func vectors(ctx context.Context, m Forwarder, taps []tap.Tap, ids []int32) (all [][]float32, last []float32, err error) {
	all = make([][]float32, len(taps))
	head := !m.Info().NoHead
	lasts, err := m.Forward(ctx, model.Request{IDs: [][]int32{ids}, Taps: taps, Logits: head,
		Emit: func(i int, v model.View) error { all[i] = slices.Clone(v.Data); return nil }})
	if err == nil && head {
		last = lasts[0]
	}
	return all, last, err
}

// compare takes one tensor of a prompt into the cell.
func (c *Cell) compare(got, want []float32, prompt int) error {
	if len(got) != len(want) {
		return fmt.Errorf("%s of prompt %d has %d values, and %d elsewhere", c.Name(), prompt, len(got), len(want))
	}
	off := between(got, want)
	if math.IsNaN(off.scaled) {
		return fmt.Errorf("%s of prompt %d is %w", c.Name(), prompt, ErrNotFinite)
	}
	c.take(off, prompt)
	return nil
}
