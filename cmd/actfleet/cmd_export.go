package main

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"actfleet/collector"
	"actfleet/internal/outfile"
	"actfleet/shard/run"
	"actfleet/trainer/coder"
	"actfleet/trainer/codes"
	"actfleet/trainer/export"
	"actfleet/trainer/export/dashboard"
	"actfleet/trainer/sae"
	"actfleet/trainer/stream"
)

type exportOptions struct {
	dir, format, out, model, from string
	jsonOut                       bool
}

func newExport() *cobra.Command {
	var o exportOptions
	c := &cobra.Command{
		Use:   "export DIR --format FORMAT --out OUT",
		Short: "Export a trained SAE in another program's format",
		Long:  "Every scale is folded into the weights, so the files apply to vectors as stored in the run.\n" + exitCodes,
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			o.dir = args[0]
			return runExport(c.Context(), o, c.OutOrStdout())
		},
	}
	var names []string
	for _, f := range export.Formats {
		names = append(names, string(f))
	}
	c.Flags().StringVar(&o.format, "format", "", "one of "+strings.Join(append(names, neuronpedia), ", "))
	c.Flags().StringVar(&o.out, "out", "", "folder to create")
	c.Flags().StringVar(&o.from, "from", "", "run it was trained on, for formats that record model, hook, data and context length; neuronpedia shows its prompts")
	c.Flags().StringVar(&o.model, "model-name", "", "name of the language model, for formats that record it")
	c.Flags().BoolVar(&o.jsonOut, "json", false, "print JSON")
	return c
}

func runExport(ctx context.Context, o exportOptions, out io.Writer) error {
	if o.out == "" || o.format == "" {
		return fmt.Errorf("%w: export needs --format and --out", errUsage)
	}
	if err := outfile.CheckFolder(o.out); err != nil {
		return err
	}
	f, err := export.ParseFormat(o.format, append(export.Formats[:len(export.Formats):len(export.Formats)], neuronpedia))
	if err != nil {
		return fmt.Errorf("%w: --format: %w", errUsage, err)
	}
	m, c, err := codes.OpenSAE(o.dir)
	if err != nil {
		return err
	}
	if f == neuronpedia {
		err = exportPage(ctx, m, c, o)
	} else {
		err = exportWeights(ctx, f, m, c, o)
	}
	if err != nil {
		return err
	}
	if o.jsonOut {
		return printJSON(out, map[string]any{"format": f, "out": o.out, "arch": m.Arch, "d_in": m.D, "d_sae": m.M})
	}
	fmt.Fprintf(out, "%s holds %s (%s, %d latents over vectors of %d) for %s\n", o.out, o.dir, m.Arch, m.M, m.D, f)
	return nil
}

func exportWeights(ctx context.Context, f export.Format, m *sae.Model, c coder.Card, o exportOptions) error {
	origin, err := originOf(ctx, c, o)
	if err != nil {
		return err
	}
	return export.Write(o.out, f, m, origin)
}

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
