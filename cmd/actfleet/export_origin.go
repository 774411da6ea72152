package main

import (
	"context"
	"fmt"
	"path"
	"slices"
	"time"

	"actfleet/collector"
	"actfleet/shard/run"
	"actfleet/trainer/coder"
	"actfleet/trainer/export"
	"actfleet/trainer/export/dashboard"
	"actfleet/trainer/sae"
	"actfleet/trainer/stream"
)

// originOf is what is known of where a coder comes from: from its card and, if one is named, from the run it was trained
// on.
func originOf(ctx context.Context, c coder.Card, o exportOptions) (export.Origin, error) {
	out := export.Origin{Model: o.model, Column: c.Column, Layer: c.Layer, Adapter: c.Variant, Program: "actfleet " + version()}
	if o.from == "" {
		return out, nil
	}
	st, plan, err := openRun(ctx, o.from)
	if err != nil {
		return out, err
	}
	if len(c.PlanIDs) > 0 && !slices.Contains(c.PlanIDs, plan.ID()) {
		return out, fmt.Errorf("%s was trained on runs %.12v, and %s is run %.12s: name the one it was trained on", o.dir, c.PlanIDs, o.from, plan.ID())
	}
	if out.Model == "" {
		out.Model = plan.Model.Name
	}
	out.Hook, out.Data = export.HookOf(plan.Model.Arch, c.Column), plan.Data.Name
	if target, _ := c.Config["target"].(string); target != "" {
		out.Target = export.HookOf(plan.Model.Arch, target)
	}
	in, err := collector.ReadInput(ctx, st, plan)
	if err != nil {
		return out, err
	}
	out.Context, out.BOS = contextOf(plan, in.IDs), beginsAlike(in.IDs)
	return out, nil
}

// contextOf is how many tokens of a prompt the model saw at most.
func contextOf(p run.Plan, prompts [][]int32) (longest int) {
	for _, ids := range prompts {
		longest = max(longest, len(ids))
	}
	if p.MaxTokens > 0 {
		longest = min(longest, p.MaxTokens)
	}
	return longest
}

// beginsAlike tells whether a token stands before every prompt: whether all begin with one token and go on with
// different ones. It is nil where prompts do not tell.
func beginsAlike(prompts [][]int32) *bool {
	first, second := map[int32]bool{}, map[int32]bool{}
	for _, ids := range prompts {
		if len(ids) > 1 {
			first[ids[0]], second[ids[1]] = true, true
		}
	}
	if len(first) == 0 || len(first) == 1 && len(second) == 1 {
		return nil
	}
	alike := len(first) == 1
	return &alike
}

// neuronpedia is the format of a page about latents rather than of weights: it needs the run.
const neuronpedia = "neuronpedia"

// exportPage writes what Neuronpedia shows of a coder's latents on the run it was trained on.
func exportPage(ctx context.Context, m *sae.Model, c coder.Card, o exportOptions) error {
	if o.from == "" {
		return fmt.Errorf("%w: --format %s needs --from RUN, whose prompts it shows", errUsage, neuronpedia)
	}
	origin, err := originOf(ctx, c, o)
	if err != nil {
		return err
	}
	st, plan, err := openRun(ctx, o.from)
	if err != nil {
		return err
	}
	set, err := dashboard.Gather(ctx, m, c.Column, stream.Source{Store: st, Plan: plan})
	if err != nil {
		return fmt.Errorf("export %s of %s: %w", neuronpedia, o.dir, err)
	}
	return dashboard.Write(o.out, set, m, dashboard.About{Model: path.Base(origin.Model), Layer: c.Layer, Name: fmt.Sprintf("%s-%d", c.Site, m.M),
		Hook: origin.Hook.TransformerLens, Data: origin.Data, Context: origin.Context, Now: time.Now().UTC()})
}
