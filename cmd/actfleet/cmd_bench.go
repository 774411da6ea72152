package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"actfleet/collector"
	"actfleet/collector/collectbench"
	"actfleet/trainer/stream"
	"actfleet/trainer/trainbench"
)

// benchLine is one measured number beside its limit.
type benchLine struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Limit float64 `json:"limit,omitempty"` // in the same unit, measured in the same run
	Ratio float64 `json:"ratio"`
	Of    string  `json:"of"` // what the ratio is to
}

func newBench() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench collect|store|stream|sae|sweep",
		Short: "Measure this machine, each number beside its physical limit in the same run",
		Long:  "Runs both sides of each comparison in turn and prints medians.\n" + exitCodes,
	}
	c.AddCommand(newBenchCollect(), newBenchStore(), newBenchStream(), newBenchSAE(), newBenchSweep())
	return c
}

func printBench(out io.Writer, jsonOut bool, lines []benchLine) error {
	if jsonOut {
		return printJSON(out, lines)
	}
	for _, l := range lines {
		fmt.Fprintf(out, "%-28s %10.4g %-10s %6.3f × %s", l.Name, l.Value, l.Unit, l.Ratio, l.Of)
		if l.Limit > 0 {
			fmt.Fprintf(out, " (%.4g %s)", l.Limit, l.Unit)
		}
		fmt.Fprintln(out)
	}
	return nil
}

func newBenchCollect() *cobra.Command {
	var o collectOptions
	var rounds int
	c := &cobra.Command{
		Use:   "collect --model DIR --data FILE",
		Short: "What taps and writing cost over the bare forward pass",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return runBenchCollect(c.Context(), o, rounds, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&o.model, "model", "examples/tiny-phi", "directory of the model")
	f.StringArrayVar(&o.data.paths, "data", []string{"examples/tiny-phi/statements.jsonl"}, "prompts")
	f.StringVar(&o.out, "dir", os.TempDir(), "where to write meanwhile")
	f.StringVar(&o.sites, "sites", "all", "as of collect")
	f.StringVar(&o.layers, "layers", "all", "as of collect")
	f.StringVar(&o.tokens, "tokens", "all", "as of collect")
	f.IntVar(&o.data.opt.Limit, "limit", 1500, "prompts")
	f.IntVar(&o.threads, "threads", 0, "batches side by side, one thread each (0: all cores)")
	f.IntVar(&rounds, "rounds", 5, "how often each side runs")
	f.BoolVar(&o.jsonOut, "json", false, "print JSON")
	o.target.flags(f)
	o.data.opt.Template, o.dtype = "none", "auto"
	return c
}

func runBenchCollect(ctx context.Context, o collectOptions, rounds int, out io.Writer) error {
	j, err := newJob(ctx, o)
	if err != nil {
		return err
	}
	before, err := collector.PeakMemory()
	if err != nil {
		return err
	}
	r, err := collectbench.Run(ctx, collectbench.Config{Dir: o.out, Rounds: rounds, Collect: j.alone()})
	if err != nil {
		return err
	}
	after, err := collector.PeakMemory()
	if err != nil {
		return err
	}
	return printBench(out, o.jsonOut, []benchLine{
		{Name: "collect, all taps, written", Value: r.Full.Wall, Unit: "s", Limit: r.Bare.Wall, Ratio: r.Ratio.Wall, Of: "the bare forward"},
		{Name: "the same, processor time", Value: r.Full.CPU, Unit: "s", Limit: r.Bare.CPU, Ratio: r.Ratio.CPU, Of: "the bare forward"},
		{Name: "rows", Value: r.RowsPerSec, Unit: "rows/s", Limit: float64(r.Rows) / r.Bare.Wall, Ratio: 1 / r.Ratio.Wall, Of: "the bare forward"},
		{Name: "activations", Value: r.BytesPerSec / 1e6, Unit: "MB/s", Limit: float64(r.Bytes) / r.Bare.Wall / 1e6, Ratio: 1 / r.Ratio.Wall, Of: "the bare forward"},
		{Name: "memory over the model", Value: float64(after-before) / 1e6, Unit: "MB", Limit: float64(r.BlockBytes)/1e6 + 300,
			Ratio: float64(after-before) / (float64(r.BlockBytes) + 300e6), Of: "one row group + 300 MB"},
	})
}

func newBenchSweep() *cobra.Command {
	var run, column, dir string
	var n, steps, rounds int
	var jsonOut bool
	c := &cobra.Command{
		Use:   "sweep --from RUN --column COLUMN",
		Short: "Many autoencoders from one reading beside the sum of their own steps",
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
	f.StringVar(&dir, "dir", os.TempDir(), "where to write meanwhile")
	f.IntVar(&n, "coders", 8, "coders trained together")
	f.IntVar(&steps, "steps", 50, "optimizer steps of each")
	f.IntVar(&rounds, "rounds", 3, "how often it runs")
	f.BoolVar(&jsonOut, "json", false, "print JSON")
	return c
}
