package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"actfleet/trainer"
	"actfleet/trainer/stream"
)

type encodeOptions struct {
	from []string
}

func newEncode() *cobra.Command {
	var o encodeOptions
	c := &cobra.Command{
		Use:   "encode DIR --from RUN",
		Short: "Write a tokenizer's codes or an SAE's measures of every row back into the run",
		Long:  "They land in RUN/codes/<coder>/ as shards with the same (row, pos), and are a view in SQL.\n" + exitCodes,
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return runEncode(c.Context(), args[0], o, c.OutOrStdout())
		},
	}
	c.Flags().StringSliceVar(&o.from, "from", nil, "runs to encode")
	return c
}

func runEncode(ctx context.Context, dir string, o encodeOptions, out io.Writer) error {
	t := trainOptions{from: o.from, out: dir, site: "all", write: true}
	runs, err := t.sources(ctx)
	if err != nil {
		return err
	}
	for i, run := range runs {
		id, err := encodeRun(ctx, dir, run)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s/codes/%s holds the codes of every row of %s\n", o.from[i], id, o.from[i])
	}
	return nil
}

// encodeRun writes a coder's codes into a run and shows its progress.
func encodeRun(ctx context.Context, dir string, run stream.Source) (id string, err error) {
	m := newMeter(os.Stderr)
	began := time.Now()
	line := ""
	id, err = trainer.Encode(ctx, dir, run, func(unit, units int) {
		left := time.Since(began) / time.Duration(unit) * time.Duration(units-unit)
		line = fmt.Sprintf("encoded %d of %d units, ETA %s", unit, units, timeText(left))
		m.show(line)
	})
	if line != "" {
		m.last(line)
	}
	return id, err
}
