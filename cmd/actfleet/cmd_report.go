package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"actfleet/analysis/report"
	"actfleet/internal/outfile"
)

type reportOptions struct {
	probes, coders []string
	out, title     string
	force          bool
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
	f.Var((*pathList)(&o.probes), "probes", "probe folders, as train probe leaves them")
	f.Var((*pathList)(&o.coders), "coders", "folders of SAEs and tokenizers, or of several of them")
	f.StringVar(&o.out, "out", "report.html", "where to write the page")
	f.StringVar(&o.title, "title", "", "its heading")
	f.BoolVar(&o.force, "force", false, "replace a report that is there; nothing else is ever replaced")
	return c
}

func runReport(ctx context.Context, runs []string, o reportOptions, out io.Writer) error {
	at, err := outfile.Place(o.out, report.IsPage, o.force)
	if err != nil {
		return err
	}
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
	if err := outfile.Write(at, func(f *os.File) error { return report.Write(f, r) }); err != nil {
		return err
	}
	fmt.Fprintf(out, "the report is at %s\n", at)
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
