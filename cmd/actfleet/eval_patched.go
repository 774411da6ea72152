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

// Run is the logits of every position.
func (p patchedTaps) Run(ctx context.Context, ids []int32, at func(column int, x []float32) error) ([]float32, error) {
	last := tap.Tap{Site: tap.Resid, Layer: p.model.Info().Layers - 1}
	r := model.Request{IDs: [][]int32{ids}, Taps: slices.Clone(p.taps)}
	if !slices.Contains(p.taps, last) {
		r.Taps = append(r.Taps, last)
	}
	r.Replace = func(i int, v model.View) error {
		if at == nil || i >= len(p.taps) {
			return nil
		}
		return at(i, v.Data)
	}
	var states []float32
	r.Emit = func(i int, v model.View) error {
		if r.Taps[i] == last {
			states = slices.Clone(v.Data)
		}
		return nil
	}
	if _, err := p.model.Forward(ctx, r); err != nil {
		return nil, err
	}
	return p.model.Readout(states, len(ids))
}
