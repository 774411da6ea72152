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
func openPatched(ctx context.Context, target targetOptions, dir string, runs []stream.Source) (*patched, error) {
	var accept []string
	if len(runs) > 0 {
		accept = runs[0].Plan.Model.Accept
	}
	m, err := target.loadOne(dir, accept...)
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
func (p patchedTaps) Begin(ctx context.Context, prompts [][]int32, shared int, from []int32) (measure.PatchedBatch, error) {
	b := &patchedBatch{patchedTaps: p, last: tap.Tap{Site: tap.Resid, Layer: p.model.Info().Layers - 1}}
	var r model.Request
	var err error
	if r.After, err = p.prefix(ctx, prompts[0][:shared], []tap.Tap{b.last}); err != nil {
		return nil, err
	}
	steps := 0
	for _, ids := range prompts {
		r.IDs = append(r.IDs, ids[shared:])
		steps = max(steps, len(ids)-shared)
	}
	for i, ids := range r.IDs {
		for t := int(from[i]) - shared; t < len(ids); t++ {
			b.places = append(b.places, int32(i*steps+t))
		}
		b.rows = append(b.rows, len(b.places))
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
	begun  *model.Begun  // nil where a column is embed, which is in no block
	whole  model.Request // in its place: the prompts, and what they share
	places []int32       // of every position that matters, prompt by prompt
	rows   []int         // where each prompt's end among them
	last   tap.Tap
}

func (b *patchedBatch) Free() { b.begun.Free() }

// Run takes the prompts on to the last block.
func (b *patchedBatch) Run(ctx context.Context, at func(column, prompt int, x []float32) (bool, error)) ([][]float32, error) {
	states := make([][]float32, len(b.rows))
	patch := &model.Patch{Taps: b.taps, At: b.places}
	if !slices.Contains(b.taps, b.last) {
		patch.Taps = append(slices.Clone(b.taps), b.last)
	}
	patch.With = func(i int, rows model.Rows) (wrote bool, err error) {
		first := 0
		for prompt, end := range b.rows {
			x := rows.Slice(first, end).F32
			first = end
			if i < len(b.taps) {
				w, err := at(i, prompt, x)
				if err != nil {
					return false, err
				}
				wrote = wrote || w
			}
			if patch.Taps[i] == b.last {
				states[prompt] = slices.Clone(x)
			}
		}
		return wrote, nil
	}
	r := b.whole
	r.From, r.Patch = b.begun, patch
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
