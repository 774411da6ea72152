package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"actfleet/analysis/report"
	"actfleet/collector/model/tap"
	"actfleet/shard"
	"actfleet/shard/store"
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
		Long:  "The page needs no network and no JavaScript.\n" + exitCodes,
		Args:  usage(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return runReport(c.Context(), args, o, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringSliceVar(&o.probes, "probes", nil, "probe folders, as train probe leaves them")
	f.StringSliceVar(&o.coders, "coders", nil, "folders of SAEs and tokenizers")
	f.StringVar(&o.out, "out", "report.html", "where to write the page")
	f.StringVar(&o.title, "title", "", "its heading")
	return c
}

func runReport(ctx context.Context, runs []string, o reportOptions, out io.Writer) error {
	r := report.Report{Title: o.title}
	for _, run := range runs {
		if err := addRun(ctx, &r, run); err != nil {
			return err
		}
		r.Commands = append(r.Commands, "actfleet check "+run)
	}
	for _, dir := range o.probes {
		sweep, err := report.LoadProbes(dir)
		if err != nil {
			return err
		}
		r.Probes = append(r.Probes, sweep)
	}
	for _, dir := range o.coders {
		coder, err := report.LoadCurves(dir)
		if err != nil {
			return err
		}
		r.Coders = append(r.Coders, coder)
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

// addRun adds a run's header, norms and timeline.
func addRun(ctx context.Context, r *report.Report, run string) error {
	st, plan, err := openRun(ctx, run)
	if err != nil {
		return err
	}
	head := describeRun(filepath.Base(run), plan)
	norms := report.Norms{Name: head.Name}
	stats := make([]shard.VectorStats, len(plan.Vectors))
	if err := addUnits(ctx, st, plan, &head, stats); err != nil {
		return err
	}
	for i, v := range plan.Vectors {
		if t, variant, ok := tap.ParseColumn(v.Name); ok && stats[i].Count > 0 {
			norms.Columns = append(norms.Columns, report.Norm{Site: string(t.Site), Layer: t.Layer, Variant: variant, Width: v.Width,
				RMS: math.Sqrt(stats[i].SumSq / float64(stats[i].Count)), MaxAbs: stats[i].MaxAbs, Bad: stats[i].NonFinite + stats[i].Overflow})
		}
	}
	fleet, err := report.LoadTimeline(ctx, st)
	if err != nil {
		return err
	}
	for i, n := range fleet.Nodes {
		if i == 0 || n.Start.Before(head.Started) {
			head.Started = n.Start
		}
		if n.End.After(head.Ended) {
			head.Ended = n.End
		}
	}
	r.Runs, r.Norms, r.Timelines = append(r.Runs, head), append(r.Norms, norms), append(r.Timelines, fleet)
	return nil
}

// addUnits sums up the footers of the committed shards.
func addUnits(ctx context.Context, st store.Store, plan shard.Plan, head *report.Run, stats []shard.VectorStats) error {
	infos, err := st.List(ctx, "acts/")
	if err != nil {
		return err
	}
	for _, info := range infos {
		s, err := shard.Open(ctx, st, info.Key)
		if err != nil {
			return err
		}
		head.Committed++
		head.Bytes += info.Size
		head.Rows += s.NumRows()
		for i := range plan.Vectors {
			stats[i].Merge(s.Stats(i))
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

func describeRun(name string, p shard.Plan) report.Run {
	var sites []string
	for _, s := range p.Sites {
		sites = append(sites, string(s))
	}
	return report.Run{
		Name: name, PlanID: p.ID(), Model: fmt.Sprintf("%s (%s)", p.Model.Name, p.Model.Arch), Data: p.Data.Name, Template: p.Template,
		Sites: strings.Join(sites, ", "), Layers: fmt.Sprintf("%d of %d", len(p.Layers), p.Model.Layers), Tokens: p.Tokens,
		Dtype: p.Dtype, Compute: p.Compute, DataRows: p.Data.Rows, Units: p.NumUnits(),
	}
}
