package main

import (
	"context"
	"fmt"
	"slices"

	"actfleet/collector"
	"actfleet/collector/dataset"
	"actfleet/collector/model"
	"actfleet/shard/tap"
	"actfleet/trainer/coder"
	"actfleet/trainer/measure"
	"actfleet/trainer/stream"
)

// patched is the runs' model and prompts, ready to run with a coder's reconstructions.
type patched struct {
	model  *model.Model
	inputs []*dataset.Input // of each run
	shared *model.Prefix    // of the prompts that ran last; nil while none shared one
}

// openPatched refuses a model that is not the one that made the runs.
func openPatched(ctx context.Context, dir string, runs []stream.Source) (*patched, error) {
	var accept []string
	if len(runs) > 0 {
		accept = runs[0].Plan.Model.Accept
	}
	m, err := model.Load(dir, accept...)
	if err != nil {
		return nil, err
	}
	p := &patched{model: m}
	for _, r := range runs {
		if err := collector.CheckModel(r.Plan, m.Info(), dir); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Store, err)
		}
		in, err := collector.ReadInput(ctx, r.Store, r.Plan)
		if err != nil {
			return nil, err
		}
		p.inputs = append(p.inputs, in)
	}
	return p, nil
}

// at is the model with the places a coder reads.
func (p *patched) at(dir string) (measure.PatchedModel, error) {
	c, err := coder.ReadCard(dir)
	if err != nil {
		return nil, err
	}
	columns, err := measure.Columns(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	out := patchedTaps{patched: p}
	for _, column := range columns {
		t, variant, ok := tap.ParseColumn(column)
		if !ok || variant != "" {
			return nil, fmt.Errorf("%s reads column %q: only the base model's sites can be replaced with --model", dir, column)
		}
		if t.Site == tap.Final {
			return nil, fmt.Errorf("%s reads column %q: what is read out with --model is resid, before the final norm", dir, column)
		}
		out.taps = append(out.taps, t)
	}
	return out, nil
}

type patchedTaps struct {
	*patched
	taps []tap.Tap // of the coder's columns
}

// Prompt is the token ids of a row of a run's input.
func (p patchedTaps) Prompt(run int, row int64) ([]int32, error) {
	in := p.inputs[run]
	if row < 0 || row >= int64(in.NumRows()) {
		return nil, fmt.Errorf("row %d is outside the run's input of %d", row, in.NumRows())
	}
	return in.IDs[row], nil
}

// Begin takes prompts through the model together up to the block of the coder's first column, those of what they share
// that were not computed before. Before embed nothing is computed.
func (p patchedTaps) Begin(ctx context.Context, prompts [][]int32, shared int) (measure.PatchedBatch, error) {
	b := &patchedBatch{patchedTaps: p, last: tap.Tap{Site: tap.Resid, Layer: p.model.Info().Layers - 1}}
	var r model.Request
	var err error
	if r.After, err = p.prefix(ctx, prompts[0][:shared], []tap.Tap{b.last}); err != nil {
		return nil, err
	}
	for _, ids := range prompts {
		r.IDs = append(r.IDs, ids[shared:])
		b.lengths = append(b.lengths, len(ids)-shared)
	}
	first := b.last.Layer
	for _, t := range p.taps {
		if t.Site == tap.Embed {
			b.whole = r
			return b, nil
		}
		first = min(first, t.Layer)
	}
	b.begun, err = p.model.Begin(ctx, r, first)
	return b, err
}

// patchedBatch is prompts that wait before the block of the coder's first column.
type patchedBatch struct {
	patchedTaps
	begun   *model.Begun  // nil where a column is embed, which is in no block
	whole   model.Request // in its place: the prompts, and what they share
	lengths []int         // of each prompt, without what they share
	last    tap.Tap
}

func (b *patchedBatch) Free() { b.begun.Free() }

// Run takes the prompts on to the last block.
func (b *patchedBatch) Run(ctx context.Context, at func(column, prompt int, x []float32) error) ([][]float32, error) {
	r := b.whole
	r.From, r.Taps = b.begun, slices.Clone(b.taps)
	if !slices.Contains(b.taps, b.last) {
		r.Taps = append(r.Taps, b.last)
	}
	own := func(v model.View, prompt int) []float32 { return v.Rows(prompt, b.lengths[prompt]) }
	r.Replace = func(i int, v model.View) error {
		for prompt := range b.lengths {
			if i >= len(b.taps) {
				break
			}
			if err := at(i, prompt, own(v, prompt)); err != nil {
				return err
			}
		}
		return nil
	}
	states := make([][]float32, len(b.lengths))
	r.Emit = func(i int, v model.View) error {
		for prompt := range states {
			if r.Taps[i] == b.last {
				states[prompt] = slices.Clone(own(v, prompt))
			}
		}
		return nil
	}
	_, err := b.model.Forward(ctx, r)
	return states, err
}

// prefix takes the tokens that prompts share through the model, unless they were the last ones; nil of none.
func (p *patched) prefix(ctx context.Context, ids []int32, taps []tap.Tap) (*model.Prefix, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	if p.shared != nil && slices.Equal(p.shared.IDs, ids) {
		return p.shared, nil
	}
	fresh, err := p.model.Prefix(ctx, model.Request{IDs: [][]int32{ids}, Taps: taps})
	if err != nil {
		return nil, err
	}
	p.shared.Free()
	p.shared = fresh
	return fresh, nil
}

func (p *patched) free() { p.shared.Free() }

// Readout is the next-token logits of states of the last block.
func (p patchedTaps) Readout(states []float32, n int) ([]float32, error) {
	return p.model.Readout(states, n)
}
