package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"actfleet/shard/run"
)

func newCheck() *cobra.Command {
	var o parityOptions
	c := &cobra.Command{
		Use:   "check RUN | check --parity MODEL --python VENV",
		Short: "Prove that a run is whole, or that a model gives Hugging Face's activations",
		Long: `Reads every byte of a run and compares it with the plan and the manifest: every hash, every row exactly
once, every vector finite.
With --parity, runs prompts through a checkpoint here and in Hugging Face transformers (eager attention,
32-bit floats, one prompt at a time) and compares every site of every layer and the last logits: the
largest |difference| must stay below 1e-4 of the RMS (or of the value, where that is larger). Both models are in
memory at once, in 32 bits. A .gguf file is read by transformers' own code, which needs the Python package gguf.
A window of more than 96 tokens is only tested by prompts of --data that are longer.
` + exitCodes,
		Args: usage(func(c *cobra.Command, args []string) error {
			if o.model != "" {
				return cobra.NoArgs(c, args)
			}
			return cobra.ExactArgs(1)(c, args)
		}),
		RunE: func(c *cobra.Command, args []string) error {
			if o.model != "" {
				return runParity(c.Context(), o, c.OutOrStdout())
			}
			return runCheck(c.Context(), args[0], o.jsonOut, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&o.model, "parity", "", "checkpoint to compare with Hugging Face: a directory or a .gguf file")
	f.StringVar(&o.python, "python", "", "with --parity: virtual environment (or its python) with torch, transformers, safetensors")
	f.StringVar(&o.data, "data", "", "with --parity: prompts, as in collect (default: random token ids)")
	f.StringSliceVar(&o.accept, "accept", nil, "with --parity: keys of config.json to pass over though they are not understood")
	f.IntVar(&o.prompts, "prompts", 6, "with --parity: how many prompts")
	f.BoolVar(&o.jsonOut, "json", false, "print the report as JSON")
	return c
}

func runCheck(ctx context.Context, dir string, jsonOut bool, out io.Writer) error {
	st, _, err := openRun(ctx, dir)
	if err != nil {
		return err
	}
	m := newMeter(os.Stderr)
	began := time.Now()
	report, err := run.Check(ctx, st, run.CheckOptions{Progress: func(done, total int64) {
		m.show(progressLine("checked", done, total, time.Since(began)))
	}})
	if err != nil {
		return err
	}
	if jsonOut {
		err = printJSON(out, report)
	} else {
		err = printReport(out, dir, report, time.Since(began))
	}
	switch {
	case err != nil:
		return err
	case len(report.Damage) > 0:
		return fmt.Errorf("%w: %d problems in %s", errDamage, len(report.Damage), dir)
	case len(report.Missing) > 0:
		return fmt.Errorf("%w: %d of %d units are missing in %s; the collect command that made it goes on", errDamage, len(report.Missing), report.Units, dir)
	}
	return nil
}

func printReport(out io.Writer, run string, r run.Report, took time.Duration) error {
	for _, d := range r.Damage {
		fmt.Fprintln(out, d)
	}
	if len(r.Damage) > 0 || len(r.Missing) > 0 {
		return nil
	}
	_, err := fmt.Fprintf(out, "%s is whole: %d units, %d rows, each exactly once; %s checked in %s (%s/s)\n",
		run, r.Units, r.Rows, bytesText(float64(r.Bytes)), timeText(took), bytesText(float64(r.Bytes)/took.Seconds()))
	return err
}

// progressLine is "checked 120 MB of 1.2 GB, 800 MB/s, ETA 1.4s".
func progressLine(verb string, done, total int64, took time.Duration) string {
	rate := float64(done) / took.Seconds()
	line := fmt.Sprintf("%s %s of %s, %s/s", verb, bytesText(float64(done)), bytesText(float64(total)), bytesText(rate))
	if rate > 0 {
		line += ", ETA " + timeText(time.Duration(float64(total-done)/rate*float64(time.Second)))
	}
	return line
}
