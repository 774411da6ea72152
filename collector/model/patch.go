package model

import (
	"fmt"

	"actfleet/internal/torch"
	"actfleet/shard/tap"
)

// Patch puts other vectors into a pass: some rows of some taps.
type Patch struct {
	Taps []tap.Tap
	At   []int32 // the places b·T + t of the rows, each once, T being the padded length of IDs; none of padding
	// With receives the rows of Taps[i] in fp32, in the order of At, each tap once, in the order the network computes them.
	// It may write into them and says whether it did: then the network goes on with what they hold.
	With func(i int, rows Rows) (wrote bool, err error)
}

// Everywhere is the patch of every token of a batch: the network goes on with what replace makes of the whole taps. Nil of
// no replace.
func Everywhere(ids [][]int32, taps []tap.Tap, replace func(i int, v View) error) *Patch {
	if replace == nil {
		return nil
	}
	steps := longest(ids)
	p, starts := &Patch{Taps: taps}, make([]int32, len(ids))
	for b, prompt := range ids {
		starts[b] = int32(len(p.At))
		for t := range prompt {
			p.At = append(p.At, int32(b*steps+t))
		}
	}
	p.With = func(i int, rows Rows) (bool, error) {
		return true, replace(i, View{Data: rows.F32, T: steps, D: rows.D, starts: starts})
	}
	return p
}

// patch is y [B, T, D], the output at the patch's tap i, with what With made of its rows. Others may read y itself: the
// residual stream, or the MLP beside the attention.
func (p *pass) patch(s *torch.Scope, i int, y *torch.Tensor) *torch.Tensor {
	at := p.places.patch[y.Device()]
	if at == nil {
		return y
	}
	shape := y.Shape()
	flat := func(y *torch.Tensor) *torch.Tensor { return s.View(y, shape[0]*shape[1], shape[2]) }
	rows := p.host(s, s.IndexSelect(flat(y), 0, at))
	wrote, err := p.r.Patch.With(i, Rows{F32: rows.Float32s(), D: int(shape[2])})
	if err != nil || !wrote {
		p.err = err
		return y
	}
	y = s.Clone(y)
	s.IndexCopyTo(flat(y), 0, at, s.ToDevice(rows, y.Device()))
	return y
}

// check refuses places that are no prompt's, and what cannot be patched.
func (p *Patch) check(prompts [][]int32) error {
	for _, t := range p.Taps {
		if t.Site == tap.Experts {
			return fmt.Errorf("tap %s: what was chosen can be read, not replaced", t.Column(""))
		}
	}
	steps := longest(prompts)
	if err := inBatch(p.At, len(prompts)*steps); err != nil {
		return err
	}
	for _, at := range p.At {
		if b, t := int(at)/steps, int(at)%steps; t >= len(prompts[b]) {
			return fmt.Errorf("row %d is asked for, step %d of a prompt of %d tokens", at, t, len(prompts[b]))
		}
	}
	return nil
}
