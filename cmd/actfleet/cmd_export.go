package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"actfleet/internal/outfile"
	"actfleet/trainer/coder"
	"actfleet/trainer/codes"
	"actfleet/trainer/export"
	"actfleet/trainer/sae"
)

type exportOptions struct {
	dir, format, out, model, from string
	jsonOut                       bool
}

func newExport() *cobra.Command {
	var o exportOptions
	c := &cobra.Command{
		Use:   "export DIR --format FORMAT --out OUT",
		Short: "Write a trained SAE in the layout another program reads",
		Long:  "The files hold the plain function: every scale is folded into the weights.\n" + exitCodes,
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
	c.Flags().StringVar(&o.out, "out", "", "folder to be made")
	c.Flags().StringVar(&o.from, "from", "", "run it was trained on, for the layouts that name model, place, data and context; neuronpedia shows its prompts")
	c.Flags().StringVar(&o.model, "model-name", "", "name of the language model, for the layouts that keep it")
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
