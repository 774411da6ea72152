package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"actfleet/analysis/describe"
	"actfleet/collector/dataset"
	"actfleet/trainer/stream"
)

type describeOptions struct {
	label, group string
	jsonOut      bool
}

func newDescribe() *cobra.Command {
	var o describeOptions
	c := &cobra.Command{
		Use:   "describe RUN",
		Short: "Look at what a run holds before training on it, and warn of what would spoil a coder or a probe",
		Long: `Prints labels, groups and repeated prompts, and of each column:
  rms        root of the mean square of all values
  |x| max    greatest absolute value; fp16 holds up to 65,504
  norm       median norm of a row, and the median absolute deviation from it (± mad)
  sinks      rows of extreme norm in the sample (attention sinks), and the positions where every row is one
  outliers   channels whose root mean square is 20 times the median channel's or more
  distinct   number of different rows in the sample
  rank       participation ratio (Σλ)²/Σλ² of the covariance's eigenvalues: how many directions are in use
  mean       share of the mean square due to the mean row; at 100 % all rows are the same
rms, |x| max and the counts of values that are not finite or did not fit into fp16 cover all committed rows, the
rest a sample of 2,048.
` + exitCodes,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return runDescribe(c.Context(), args[0], o, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&o.label, "label", "label", "column with the label")
	f.StringVar(&o.group, "group", "group", "column with the group")
	f.BoolVar(&o.jsonOut, "json", false, "print JSON")
	return c
}

func runDescribe(ctx context.Context, name string, o describeOptions, out io.Writer) error {
	st, plan, err := openRun(ctx, name)
	if err != nil {
		return err
	}
	var p describe.Prompts
	err = eachPrompt(ctx, stream.Source{Store: st, Plan: plan}, func(in *dataset.Input) {
		for i := range in.IDs {
			p.Texts = append(p.Texts, promptText(in, i))
		}
		p.Labels = append(p.Labels, promptColumn(in, o.label)...)
		p.Groups = append(p.Groups, promptColumn(in, o.group)...)
	})
	if err != nil {
		return err
	}
	m := newMeter(os.Stderr)
	r, err := describe.Run(ctx, st, plan, p, func(done, of int) {
		if line := fmt.Sprintf("looked at %d of %d columns", done, of); done < of {
			m.show(line)
		} else {
			m.last(line)
		}
	})
	if errors.Is(err, describe.ErrEmpty) {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err != nil {
		return err
	}
	if o.jsonOut {
		return printJSON(out, r)
	}
	return printDescription(out, r)
}

// promptColumn is a column of some prompts as text; nil where they have none of that name.
func promptColumn(in *dataset.Input, name string) (out []string) {
	c, ok := in.Column(name)
	if !ok {
		return nil
	}
	for i := range in.IDs {
		out = append(out, fmt.Sprint(c.At(i)))
	}
	return out
}

func printDescription(out io.Writer, r *describe.Report) error {
	p := r.Prompts
	fmt.Fprintf(out, "%d of %d units, %d rows, %d prompts\n", r.Done, r.Units, r.Rows, p.Prompts)
	if len(p.Labels) > 0 {
		var labels []string
		for _, l := range p.Labels {
			labels = append(labels, fmt.Sprintf("%s × %d", l.Value, l.Rows))
		}
		fmt.Fprintf(out, "labels: %s (%d values)\n", strings.Join(labels, ", "), p.LabelKinds)
	}
	if p.Groups > 0 {
		fmt.Fprintf(out, "groups: %d, of which %d have one prompt; the largest has %d\n", p.Groups, p.Singletons, p.Largest)
	}
	fmt.Fprintf(out, "prompts that repeat one of another group: %d; nearly: %d more\n\n", p.Repeated, p.Near)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "column\twidth\trms\t|x| max\tnorm\t± mad\tsinks\toutliers\tdistinct\trank\tmean\t")
	for _, c := range r.Columns {
		fmt.Fprintf(w, "%s\t%d\t%.3g\t%.3g\t%.3g\t%.2g\t%s\t%d\t%d\t%.1f\t%.0f %%\t\n", c.Name, c.Width, c.RMS, c.MaxAbs, c.Norms.Median, c.Norms.MAD,
			sinkText(c), len(c.Outliers), c.Distinct, c.Rank, 100*c.MeanShare)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(r.Warnings) == 0 {
		fmt.Fprintln(out, "\nnothing that would spoil a coder or a probe was found")
		return nil
	}
	fmt.Fprintln(out)
	for _, text := range r.Warnings {
		fmt.Fprintln(out, "warning:", text)
	}
	return nil
}

// sinkText is how many rows of the sample are sinks, with the positions whose rows all are.
func sinkText(c describe.Column) string {
	text := fmt.Sprint(c.Norms.Sinks)
	for _, at := range c.Norms.Positions {
		text += fmt.Sprintf(" pos:%d", at.Pos)
	}
	return text
}
