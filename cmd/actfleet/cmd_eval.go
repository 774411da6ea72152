package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"actfleet/trainer"
)

// metricText lists metrics by name.
func metricText(m map[string]float64) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "  %s %.5g", name, m[name])
	}
	return b.String()
}

type evalOptions struct {
	from    []string
	jsonOut bool
}

func newEval() *cobra.Command {
	var o evalOptions
	c := &cobra.Command{
		Use:   "eval DIR --from RUN",
		Short: "Measure an SAE or a tokenizer on the rows its training never saw",
		Long:  "On another run than it was trained on, every row counts.\n" + exitCodes,
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return runEval(c.Context(), args[0], o, c.OutOrStdout())
		},
	}
	c.Flags().StringSliceVar(&o.from, "from", nil, "runs to read")
	c.Flags().BoolVar(&o.jsonOut, "json", false, "print JSON")
	return c
}

func runEval(ctx context.Context, dir string, o evalOptions, out io.Writer) error {
	t := trainOptions{from: o.from, out: dir, site: "all"}
	runs, err := t.sources(ctx)
	if err != nil {
		return err
	}
	m, _, err := trainer.Evaluate(ctx, dir, runs, trainer.EvalOptions{})
	if err != nil {
		return err
	}
	if o.jsonOut {
		return printJSON(out, m)
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(out, "%-16s %.6g\n", name, m[name])
	}
	return nil
}
