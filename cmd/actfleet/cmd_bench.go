package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"actfleet/collector"
	"actfleet/collector/collectbench"
	"actfleet/shard/storebench"
	"actfleet/trainer/parallel"
	"actfleet/trainer/stream"
	"actfleet/trainer/trainbench"
)

// benchLine is one measured number beside its limit.
type benchLine struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Limit float64 `json:"limit,omitempty"` // in the same unit, measured in the same run
	Ratio float64 `json:"ratio"`
	Of    string  `json:"of"` // what the ratio is to
}

func newBench() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench collect|precision|store|stream|sae|sweep|tokenize",
		Short: "Measure this machine, comparing each number with a hardware limit measured in the same run",
		Long:  "Alternates both sides of each comparison and prints medians.\n" + exitCodes,
	}
	c.AddCommand(newBenchCollect(), newBenchStore(), newBenchStream(), newBenchSAE(), newBenchSweep(), newBenchTokenize(), newBenchPrecision())
	return c
}

func printBench(out io.Writer, jsonOut bool, lines []benchLine) error {
	if jsonOut {
		return printJSON(out, lines)
	}
	for _, l := range lines {
		fmt.Fprintf(out, "%-28s %10.4g %-10s %6.3f × %s", l.Name, l.Value, l.Unit, l.Ratio, l.Of)
		if l.Limit > 0 {
			fmt.Fprintf(out, " (%.4g %s)", l.Limit, l.Unit)
		}
		fmt.Fprintln(out)
	}
	return nil
}

func newBenchCollect() *cobra.Command {
	var o collectOptions
	var rounds int
	c := &cobra.Command{
		Use:   "collect --model DIR --data FILE",
		Short: "Overhead of taps and writing, relative to the bare forward pass",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return runBenchCollect(c.Context(), o, rounds, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&o.model, "model", "examples/tiny-phi", "directory of the model")
	f.StringArrayVar(&o.data.paths, "data", []string{"examples/tiny-phi/statements.jsonl"}, "prompts")
	f.StringVar(&o.out, "dir", os.TempDir(), "folder for temporary files")
	f.StringVar(&o.sites, "sites", "all", "as in collect")
	f.StringVar(&o.layers, "layers", "all", "as in collect")
	f.StringVar(&o.tokens, "tokens", "all", "as in collect")
	f.IntVar(&o.data.opt.Limit, "limit", 1500, "prompts")
	f.IntVar(&o.threads, "threads", 0, "batches computed in parallel, one thread each (0: all cores)")
	f.IntVar(&rounds, "rounds", 5, "how often each side runs")
	f.BoolVar(&o.jsonOut, "json", false, "print JSON")
	o.target.flags(f)
	o.data.opt.Template, o.dtype = "none", "auto"
	return c
}

func runBenchCollect(ctx context.Context, o collectOptions, rounds int, out io.Writer) error {
	j, err := newJob(ctx, o)
	if err != nil {
		return err
	}
	before, err := collector.PeakMemory()
	if err != nil {
		return err
	}
	r, err := collectbench.Run(ctx, collectbench.Config{Dir: o.out, Rounds: rounds, Collect: j.alone()})
	if err != nil {
		return err
	}
	after, err := collector.PeakMemory()
	if err != nil {
		return err
	}
	return printBench(out, o.jsonOut, []benchLine{
		{Name: "collect, all taps, written", Value: r.Full.Wall, Unit: "s", Limit: r.Bare.Wall, Ratio: r.Ratio.Wall, Of: "the bare forward"},
		{Name: "the same, processor time", Value: r.Full.CPU, Unit: "s", Limit: r.Bare.CPU, Ratio: r.Ratio.CPU, Of: "the bare forward"},
		{Name: "rows", Value: r.RowsPerSec, Unit: "rows/s", Limit: float64(r.Rows) / r.Bare.Wall, Ratio: 1 / r.Ratio.Wall, Of: "the bare forward"},
		{Name: "activations", Value: r.BytesPerSec / 1e6, Unit: "MB/s", Limit: float64(r.Bytes) / r.Bare.Wall / 1e6, Ratio: 1 / r.Ratio.Wall, Of: "the bare forward"},
		{Name: "memory over the model", Value: float64(after-before) / 1e6, Unit: "MB", Limit: float64(r.BlockBytes)/1e6 + 300,
			Ratio: float64(after-before) / (float64(r.BlockBytes) + 300e6), Of: "one row group + 300 MB"},
	})
}

func newBenchSweep() *cobra.Command {
	var run, column, dir string
	var n, steps, rounds int
	var jsonOut bool
	c := &cobra.Command{
		Use:   "sweep --from RUN --column COLUMN",
		Short: "Many autoencoders in one pass over the data, compared with the sum of their individual steps",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			st, plan, err := openRun(c.Context(), run)
			if err != nil {
				return err
			}
			r, err := trainbench.Sweep(c.Context(), stream.Source{Store: st, Plan: plan}, column, n, steps, rounds, dir)
			if err != nil {
				return err
			}
			return printBench(c.OutOrStdout(), jsonOut, []benchLine{{Name: fmt.Sprintf("%d coders of %s", n, column),
				Value: r.Ours, Unit: "s", Limit: r.Limit, Ratio: r.Ratio, Of: "their own steps"}})
		},
	}
	f := c.Flags()
	f.StringVar(&run, "from", "", "run to read")
	f.StringVar(&column, "column", "fc2_1", "vector column")
	f.StringVar(&dir, "dir", os.TempDir(), "folder for temporary files")
	f.IntVar(&n, "coders", 8, "coders trained together")
	f.IntVar(&steps, "steps", 50, "optimizer steps per coder")
	f.IntVar(&rounds, "rounds", 3, "number of repetitions")
	f.BoolVar(&jsonOut, "json", false, "print JSON")
	return c
}

func newBenchStore() *cobra.Command {
	var dir string
	var jsonOut bool
	c := &cobra.Command{
		Use:   "store",
		Short: "Writing and reading shards, compared with write(2), touching the bytes and copying them",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return runBenchStore(c.Context(), dir, jsonOut, c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&dir, "dir", benchDir(), "folder for temporary files")
	c.Flags().BoolVar(&jsonOut, "json", false, "print JSON")
	return c
}

// benchDir is a file system in memory where there is one: the format is to be measured, not the disk.
func benchDir() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

func runBenchStore(ctx context.Context, dir string, jsonOut bool, out io.Writer) error {
	var lines []benchLine
	err := storebench.Run(ctx, dir, func(r storebench.Result) error {
		lines = append(lines, benchLine{Name: r.Name, Value: r.Value, Unit: r.Unit, Limit: r.Bound, Ratio: r.Ratio, Of: r.Limit})
		return nil
	})
	if err != nil {
		return err
	}
	return printBench(out, jsonOut, lines)
}

func newBenchStream() *cobra.Command {
	var run, column string
	var rounds int
	var jsonOut bool
	c := &cobra.Command{
		Use:   "stream --from RUN [--column resid_2]",
		Short: "The training stream on one core, compared with touching the same bytes, and from disk",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return runBenchStream(c.Context(), run, column, rounds, jsonOut, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&run, "from", "demo/run", "the run to read")
	f.StringVar(&column, "column", "fc1_2", "vector column")
	f.IntVar(&rounds, "rounds", 5, "how often each side runs")
	f.BoolVar(&jsonOut, "json", false, "print JSON")
	return c
}

func runBenchStream(ctx context.Context, run, column string, rounds int, jsonOut bool, out io.Writer) error {
	st, plan, err := openRun(ctx, run)
	if err != nil {
		return err
	}
	if _, ok := plan.Schema().VectorIndex(column); !ok {
		var names []string
		for _, v := range plan.Vectors {
			names = append(names, v.Name)
		}
		return fmt.Errorf("%w: %s has no column %s; it has %s", errUsage, run, column, strings.Join(names, ", "))
	}
	src := stream.Source{Store: st, Plan: plan}
	r, err := trainbench.Stream(ctx, src, column, rounds)
	if err != nil {
		return err
	}
	lines := []benchLine{streamLine("stream "+column+", one core", r, "touching the bytes")}
	if strings.HasPrefix(run, "s3://") {
		return printBench(out, jsonOut, lines)
	}
	evict := func() error { return forget(filepath.Join(run, "acts")) }
	if r, err = trainbench.Cold(ctx, src, column, rounds, evict); err != nil {
		return err
	}
	lines = append(lines, streamLine("the same, not in memory", r, "reading in file order"))
	return printBench(out, jsonOut, lines)
}

func streamLine(name string, r trainbench.Result, of string) benchLine {
	return benchLine{Name: name, Value: r.Ours / 1e9, Unit: "GB/s", Limit: r.Limit / 1e9, Ratio: r.Ratio, Of: of}
}

// forget takes the files of a directory out of the kernel's memory. What was not written to the disk yet stays.
func forget(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	if err != nil {
		return err
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		err = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("take %s out of memory: %w", name, err)
		}
	}
	return nil
}

func newBenchSAE() *cobra.Command {
	var d, m, k, batch, rounds, threads, dead int
	var jsonOut bool
	var rows string
	var seed uint64
	c := &cobra.Command{
		Use:   "sae",
		Short: "A TopK step, compared with its encoder's matrix product",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			parallel.SetThreads(threads)
			if rows != "" {
				return trainbench.Rows{File: rows, D: d, M: m, K: k, Batch: batch, Dead: dead, Seed: seed}.Serve(c.InOrStdin(), c.OutOrStdout())
			}
			r, err := trainbench.SAE(d, m, k, batch, rounds)
			if err != nil {
				return err
			}
			name := fmt.Sprintf("step d=%d M=%d k=%d B=%d", d, m, k, batch)
			return printBench(c.OutOrStdout(), jsonOut, []benchLine{{Name: name, Value: r.Ours * 1e3, Unit: "ms", Limit: r.Limit * 1e3, Ratio: r.Ratio, Of: "the encoder's product"}})
		},
	}
	f := c.Flags()
	f.IntVar(&d, "d", 512, "width of the vectors")
	f.IntVar(&m, "width", 8192, "latents")
	f.IntVar(&k, "k", 32, "active latents")
	f.IntVar(&batch, "batch", 2048, "rows per step")
	f.IntVar(&rounds, "rounds", 5, "how often each side runs")
	f.IntVar(&threads, "threads", 0, "compute threads (0: all cores)")
	f.StringVar(&rows, "rows", "", "file of float32 rows: train on it, controlled by standard input (scripts/bench/sae_peers.py)")
	f.IntVar(&dead, "dead", 10_000_000, "with --rows: rows without firing after which a latent is dead")
	f.Uint64Var(&seed, "seed", 1, "with --rows: random seed of the initial directions")
	f.BoolVar(&jsonOut, "json", false, "print JSON")
	return c
}
