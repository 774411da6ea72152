package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"actfleet/internal/mapped"
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
	names, columns, err := chooseColumns(plan, o.columns)
	if err != nil {
		return err
	}
	write := jsonlRow(w, names)
	if o.format == "csv" {
		write = csvRow(w, names)
	}
	done, err := run.Readable(ctx, st, plan)
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
		if err := errors.Join(ctx.Err(), catGroup(r, g, columns, write)); err != nil {
			return err
		}
	}
	return nil
}

func catGroup(r *shard.Reader, g int, columns []string, write func([]any) error) (err error) {
	defer mapped.Guard(&err)()
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
	return nil
}

// chooseColumns are the names asked for, none meaning all, and the columns that these are stored in.
func chooseColumns(p run.Plan, asked []string) (names, columns []string, err error) {
	s := p.Schema()
	var all []string
	for _, c := range s.Scalars {
		all = append(all, c.Name)
	}
	for _, v := range s.Vectors {
		all = append(all, v.Name)
	}
	if len(asked) == 0 {
		return all, all, nil
	}
	for _, name := range asked {
		stored := p.Column(name)
		_, scalar := s.ScalarIndex(stored)
		_, vector := s.VectorIndex(stored)
		if !scalar && !vector {
			return nil, nil, fmt.Errorf("%w: no column %s; there are %s", errUsage, name, strings.Join(all, ", "))
		}
		columns = append(columns, stored)
	}
	return asked, columns, nil
}

// readGroup returns, per column, what gives the value of a row: a scalar, or a vector as []float32.
func readGroup(r *shard.Reader, g int, columns []string) ([]func(row int) any, error) {
	out := make([]func(int) any, len(columns))
	for i, name := range columns {
		var err error
		if col, ok := r.VectorIndex(name); ok {
			out[i], err = vectorCells(r, g, col)
		} else {
			out[i], err = scalarCells(r, g, name)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func vectorCells(r *shard.Reader, g, col int) (func(int) any, error) {
	raw, err := r.Vector(g, col, nil)
	if err != nil {
		return nil, err
	}
	v := r.Schema().Vectors[col]
	return func(row int) any {
		x := make([]float32, v.Width)
		one := raw[row*v.RowBytes() : (row+1)*v.RowBytes()]
		v.Dtype.Unpack(x, one)
		return x
	}, nil
}

func scalarCells(r *shard.Reader, g int, name string) (func(int) any, error) {
	cols, err := r.Scalars(g, name)
	if err != nil {
		return nil, err
	}
	switch c := cols[0].(type) {
	case []int64:
		return func(i int) any { return c[i] }, nil
	case []int32:
		return func(i int) any { return c[i] }, nil
	case []float32:
		return func(i int) any { return number(c[i]) }, nil
	case []float64:
		return func(i int) any { return number(c[i]) }, nil
	case []bool:
		return func(i int) any { return c[i] }, nil
	case []string:
		return func(i int) any { return c[i] }, nil
	}
	return nil, fmt.Errorf("column %s: %T cannot be written as text", name, cols[0])
}

// number is v, or nil where JSON has no number for it.
func number[F float32 | float64](v F) any {
	if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return v
}

// jsonlRow writes a row as a JSON object with the columns in their order.
func jsonlRow(w io.Writer, columns []string) func([]any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	keys := make([]string, len(columns))
	for i, name := range columns {
		key, _ := json.Marshal(name) // a string always encodes
		keys[i] = string(key) + ":"
	}
	return func(row []any) error {
		b.Reset()
		for i, v := range row {
			b.WriteString([]string{"{", ","}[min(i, 1)] + keys[i])
			if err := enc.Encode(v); err != nil {
				return err
			}
			b.Truncate(b.Len() - 1) // Encode ends the line
		}
		b.WriteString("}\n")
		_, err := w.Write(b.Bytes())
		return err
	}
}

// csvRow writes the header at once and each row as text; vectors and missing numbers as JSON has them.
func csvRow(w io.Writer, columns []string) func([]any) error {
	out := csv.NewWriter(w)
	header := out.Write(columns)
	text := make([]string, len(columns))
	return func(row []any) error {
		if header != nil {
			return header
		}
		for i, v := range row {
			switch v := v.(type) {
			case string:
				text[i] = v
			case nil:
				text[i] = ""
			default:
				b, err := json.Marshal(v)
				if err != nil {
					return err
				}
				text[i] = string(b)
			}
		}
		if err := out.Write(text); err != nil {
			return err
		}
		out.Flush()
		return out.Error()
	}
}
