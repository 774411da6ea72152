package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"actfleet/analysis"
	"actfleet/trainer/codes"
	"actfleet/trainer/stream"
)

type encodeOptions struct {
	from    []string
	jsonOut bool
}

func newEncode() *cobra.Command {
	var o encodeOptions
	c := &cobra.Command{
		Use:     "encode DIR --from RUN",
		Aliases: []string{"apply"},
		Short:   "Write a tokenizer's ids, an SAE's active latents or probes' scores for every row into a run",
		Long: `They go to RUN/codes/<coder>/ as shards with the same (row, pos), and are a view in SQL. A tokenizer's ids are
the column code, or code_0, code_1, … where a row has several. Probes' scores are P(label 1), as they were fitted; train probe --test
measures them on other runs.
` + exitCodes,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return runEncode(c.Context(), args[0], o, c.OutOrStdout())
		},
	}
	c.Flags().Var((*pathList)(&o.from), "from", "runs to encode")
	return c
}

func runEncode(ctx context.Context, dir string, o encodeOptions, out io.Writer) error {
	runs, err := o.runs(ctx, dir)
	if err != nil {
		return err
	}
	for i, run := range runs {
		id, err := encodeRun(ctx, dir, run)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s/codes/%s holds the codes of every row of %s; in sql it is the view %s\n", o.from[i], id, o.from[i], analysis.ViewName(id))
	}
	return nil
}

// encodeRun writes a coder's codes into a run and shows its progress.
func encodeRun(ctx context.Context, dir string, run stream.Source) (id string, err error) {
	err = byUnit("encoded", func(progress func(unit, units int)) (err error) {
		id, err = codes.Encode(ctx, dir, run, progress)
		return err
	})
	return id, err
}

// runs opens the runs, to be written to.
func (o *encodeOptions) runs(ctx context.Context, dir string) ([]stream.Source, error) {
	t := trainOptions{from: o.from, out: dir, sites: "all", write: true}
	return t.sources(ctx)
}

// byUnit does work that tells of every unit it has done, and shows how far it is.
func byUnit(done string, work func(progress func(unit, units int)) error) error {
	m, began, line := newMeter(os.Stderr), time.Now(), ""
	err := work(func(unit, units int) {
		left := time.Since(began) / time.Duration(unit) * time.Duration(units-unit)
		line = fmt.Sprintf("%s %d of %d units, ETA %s", done, unit, units, timeText(left))
		m.show(line)
	})
	if line != "" {
		m.last(line)
	}
	return err
}

func newDecode() *cobra.Command {
	var o encodeOptions
	c := &cobra.Command{
		Use:   "decode DIR --from RUN",
		Short: "Reconstruct vectors from a coder's codes in a run, and print their error against the run's own",
		Long: `Reads the codes that encode wrote with a tokenizer or an SAE. The vectors go to RUN/codes/<coder>_decoded/ as shards with the same (row, pos)
under the name of the column they reconstruct, and are a view in SQL.
` + exitCodes,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return runDecode(c.Context(), args[0], o, c.OutOrStdout())
		},
	}
	c.Flags().Var((*pathList)(&o.from), "from", "runs to decode")
	c.Flags().BoolVar(&o.jsonOut, "json", false, "print JSON")
	return c
}

func runDecode(ctx context.Context, dir string, o encodeOptions, out io.Writer) error {
	runs, err := o.runs(ctx, dir)
	if err != nil {
		return err
	}
	var all []codes.Decoded
	for i, run := range runs {
		var d codes.Decoded
		err := byUnit("decoded", func(progress func(unit, units int)) (err error) {
			d, err = codes.Decode(ctx, dir, run, progress)
			return err
		})
		if err != nil {
			return err
		}
		all = append(all, d)
		if o.jsonOut {
			continue
		}
		fmt.Fprintf(out, "%s/codes/%s holds %d vectors; against those of %s:%s\n", o.from[i], d.ID, d.Rows, o.from[i], metricText(d.Metrics))
		if d.Left > 0 {
			fmt.Fprintf(out, "  left out %d rows with values that are not finite\n", d.Left)
		}
		if d.Cut > 0 {
			fmt.Fprintf(out, "  %d rows have more active latents than their codes list; they come back from the greatest\n", d.Cut)
		}
	}
	if o.jsonOut {
		return printJSON(out, all)
	}
	return nil
}
