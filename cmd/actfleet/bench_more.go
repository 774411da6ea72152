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

	"actfleet/shard/storebench"
	"actfleet/trainer/parallel"
	"actfleet/trainer/stream"
	"actfleet/trainer/trainbench"
)

func newBenchStore() *cobra.Command {
	var dir string
	var jsonOut bool
	c := &cobra.Command{
		Use:   "store",
		Short: "Writer and readers of shards beside write(2), a touch and a copy",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return runBenchStore(c.Context(), dir, jsonOut, c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&dir, "dir", benchDir(), "where to write meanwhile")
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
		Short: "The training stream on one core beside a plain touch of the same bytes, and from the disk",
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
		Short: "A TopK step beside its encoder's matrix product",
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
	f.IntVar(&batch, "batch", 2048, "rows of a step")
	f.IntVar(&rounds, "rounds", 5, "how often each side runs")
	f.IntVar(&threads, "threads", 0, "compute threads (0: all cores)")
	f.StringVar(&rows, "rows", "", "file of float32 rows: train on it as told on standard input (scripts/bench/sae_peers.py)")
	f.IntVar(&dead, "dead", 10_000_000, "rows without firing that make a latent dead, with --rows")
	f.Uint64Var(&seed, "seed", 1, "of the first directions, with --rows")
	f.BoolVar(&jsonOut, "json", false, "print JSON")
	return c
}
