package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"actfleet/shard"
)

func newCheck() *cobra.Command {
	var jsonOut bool
	c := &cobra.Command{
		Use:   "check RUN",
		Short: "Prove that a run is whole: every hash, every row exactly once, every vector finite",
		Long:  "Reads every byte of a run and compares it with the plan and the manifest.\n" + exitCodes,
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return runCheck(c.Context(), args[0], jsonOut, c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&jsonOut, "json", false, "print the report as JSON")
	return c
}

func runCheck(ctx context.Context, run string, jsonOut bool, out io.Writer) error {
	st, _, err := openRun(ctx, run)
	if err != nil {
		return err
	}
	m := newMeter(os.Stderr)
	began := time.Now()
	report, err := shard.Check(ctx, st, shard.CheckOptions{Progress: func(done, total int64) {
		m.show(progressLine("checked", done, total, time.Since(began)))
	}})
	if err != nil {
		return err
	}
	if jsonOut {
		err = printJSON(out, report)
	} else {
		err = printReport(out, run, report, time.Since(began))
	}
	switch {
	case err != nil:
		return err
	case len(report.Damage) > 0:
		return fmt.Errorf("%w: %d problems in %s", errDamage, len(report.Damage), run)
	case len(report.Missing) > 0:
		return fmt.Errorf("%w: %d of %d units are missing in %s; the collect command that made it goes on", errDamage, len(report.Missing), report.Units, run)
	}
	return nil
}

func printReport(out io.Writer, run string, r shard.Report, took time.Duration) error {
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
