package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"actfleet/analysis/report"
)

type reportOptions struct {
	probes, coders []string
	out, title     string
}

func newReport() *cobra.Command {
	var o reportOptions
	c := &cobra.Command{
		Use:   "report RUN… --out report.html",
		Short: "Write one self-contained HTML page about runs, probes, coders and the fleet",
		Long: `The page needs no network; without JavaScript only the search among latents is missing. What eval left in a coder's
folder is drawn too: trade-offs between coders of one place in the model, densities, and for each latent the rows on
which it is most active, with their text.
` + exitCodes,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return runReport(c.Context(), args, o, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringSliceVar(&o.probes, "probes", nil, "probe folders, as train probe leaves them")
	f.StringSliceVar(&o.coders, "coders", nil, "folders of SAEs and tokenizers, or of several of them")
	f.StringVar(&o.out, "out", "report.html", "where to write the page")
	f.StringVar(&o.title, "title", "", "its heading")
	return c
}

func runReport(ctx context.Context, runs []string, o reportOptions, out io.Writer) error {
	r := report.Report{Title: o.title}
	for _, run := range runs {
		st, _, err := openRun(ctx, run)
		if err != nil {
			return err
		}
		if err := r.AddRun(ctx, st); err != nil {
			return err
		}
	}
	for _, dir := range o.probes {
		if err := r.AddProbes(dir); err != nil {
			return err
		}
	}
	if err := addCoders(&r, o.coders); err != nil {
		return err
	}
	if err := writeReport(r, o.out); err != nil {
		return err
	}
	abs, err := filepath.Abs(o.out)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "the report is at %s\n", abs)
	return nil
}

func addCoders(r *report.Report, args []string) error {
	if len(args) == 0 {
		return nil
	}
	dirs, err := coderDirs(args)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := r.AddCoder(dir); err != nil {
			return err
		}
	}
	return nil
}

// writeReport puts the page in place whole: nobody ever opens half of it.
func writeReport(r report.Report, path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".report-*")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(report.Write(f, r), f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return os.Rename(f.Name(), path)
}
