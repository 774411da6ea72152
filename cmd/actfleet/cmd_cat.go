package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"actfleet/shard"
	"actfleet/shard/arrow"
	"actfleet/shard/run"
	"actfleet/shard/store"
)

type catOptions struct {
	columns []string
	format  string
}

func newCat() *cobra.Command {
	var o catOptions
	c := &cobra.Command{
		Use:   "cat RUN [--columns …] --format arrow|csv|jsonl",
		Short: "Write a run's rows to standard output",
		Long: `Writes the committed rows, one unit after another. arrow is an Arrow IPC stream with vectors as fixed-size
lists, for pyarrow, Polars and R; csv and jsonl write vectors as JSON lists.
` + exitCodes,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return runCat(c.Context(), args[0], o, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringSliceVar(&o.columns, "columns", nil, "columns to write, in this order (all)")
	f.StringVar(&o.format, "format", "arrow", "arrow, csv or jsonl")
	return c
}

func runCat(ctx context.Context, run string, o catOptions, out io.Writer) (err error) {
	st, plan, err := openRun(ctx, run)
	if err != nil {
		return err
	}
	if f, ok := out.(*os.File); ok && o.format == "arrow" && term.IsTerminal(int(f.Fd())) {
		return fmt.Errorf("%w: an Arrow stream is not for terminals; redirect it, or take --format csv or jsonl", errUsage)
	}
	w := bufio.NewWriterSize(out, 1<<20)
	defer func() { err = errors.Join(err, w.Flush()) }()
	switch o.format {
	case "arrow":
		return arrow.Run(ctx, w, st, o.columns...)
	case "csv", "jsonl":
		return catText(ctx, w, st, plan, o)
	}
	return fmt.Errorf("%w: --format %s: want arrow, csv or jsonl", errUsage, o.format)
}

// catText writes csv or jsonl, one row group after another.
func catText(ctx context.Context, w io.Writer, st store.Store, plan run.Plan, o catOptions) error {
	columns, err := chooseColumns(plan.Schema(), o.columns)
	if err != nil {
		return err
	}
	write := jsonlRow(w, columns)
	if o.format == "csv" {
		write = csvRow(w, columns)
	}
	done, err := run.Committed(ctx, st, plan)
	if err != nil {
		return err
	}
	for u, there := range done {
		if !there {
			continue
		}
		if err := catUnit(ctx, st, u, columns, write); err != nil {
			return err
		}
	}
	return nil
}

func catUnit(ctx context.Context, st store.Store, u int, columns []string, write func([]any) error) (err error) {
	r, err := shard.Open(ctx, st, run.UnitKey(u))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for g := range r.NumGroups() {
		cells, err := readGroup(r, g, columns)
		if err != nil {
			return err
		}
		row := make([]any, len(columns))
		for i := range r.GroupRows(g) {
			for c, at := range cells {
				row[c] = at(i)
			}
			if err := write(row); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// chooseColumns checks the names asked for; none means all.
func chooseColumns(s shard.Schema, asked []string) ([]string, error) {
	var all []string
	for _, c := range s.Scalars {
		all = append(all, c.Name)
	}
	for _, v := range s.Vectors {
		all = append(all, v.Name)
	}
	if len(asked) == 0 {
		return all, nil
	}
	for _, name := range asked {
		_, scalar := s.ScalarIndex(name)
		_, vector := s.VectorIndex(name)
		if !scalar && !vector {
			return nil, fmt.Errorf("%w: no column %s; there are %s", errUsage, name, strings.Join(all, ", "))
		}
	}
	return asked, nil
}
