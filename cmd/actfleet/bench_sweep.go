package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"actfleet/trainer/stream"
	"actfleet/trainer/trainbench"
)

func newBenchSweep() *cobra.Command {
	var run, column, dir string
	var n, steps, rounds int
	var jsonOut bool
	c := &cobra.Command{
		Use:   "sweep --from RUN --column COLUMN",
		Short: "Many autoencoders in one pass over the data, compared with the sum of their individual steps",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			st, plan, err := openRun(c.Context(), run)
			if err != nil {
				return err
			}
			r, err := trainbench.Sweep(c.Context(), stream.Source{Store: st, Plan: plan}, column, n, steps, rounds, dir)
			if err != nil {
				return err
			}
			return printBench(c.OutOrStdout(), jsonOut, []benchLine{{Name: fmt.Sprintf("%d coders of %s", n, column),
				Value: r.Ours, Unit: "s", Limit: r.Limit, Ratio: r.Ratio, Of: "their own steps"}})
		},
	}
	f := c.Flags()
	f.StringVar(&run, "from", "", "run to read")
	f.StringVar(&column, "column", "fc2_1", "vector column")
	f.StringVar(&dir, "dir", os.TempDir(), "folder for temporary files")
	f.IntVar(&n, "coders", 8, "coders trained together")
	f.IntVar(&steps, "steps", 50, "optimizer steps per coder")
	f.IntVar(&rounds, "rounds", 3, "number of repetitions")
	f.BoolVar(&jsonOut, "json", false, "print JSON")
	return c
}
