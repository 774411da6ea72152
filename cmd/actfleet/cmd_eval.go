package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"actfleet/trainer/coder"
	"actfleet/trainer/measure"
	"actfleet/trainer/stream"
)

// metricText lists metrics by name.
func metricText(m map[string]float64) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "  %s %.5g", name, m[name])
	}
	return b.String()
}

type evalOptions struct {
	from          []string
	model         string
	rows, prompts int
	all, jsonOut  bool
	threads       int
	target        targetOptions
}

func newEval() *cobra.Command {
	var o evalOptions
	c := &cobra.Command{
		Use:   "eval DIR… --from RUN",
		Short: "Measure SAEs and tokenizers on the rows their training never saw",
		Long: `A folder of several coders, as train leaves it for several taps, stands for all of them.
On a run that was not trained on, every row counts. With --model the model itself runs held-out prompts with the
reconstructions in place of its own vectors: loss_recovered and kl_score are 1 where that changes nothing and 0 where
it is no better than zeros. A transcoder's prediction takes the place of its target, which the model must compute later
than what it reads; of a crosscoder's vectors each takes its own place in a run of its own: the means are over all, and
loss_recovered@COLUMN and kl_score@COLUMN are of one. Both have 95 % intervals over the prompts, which --prompts makes
narrower; where the model predicts the prompts better with the coder than alone, loss_recovered is above 1 and a note says so. The result is kept in DIR/eval.json, from which report draws.

  sinks             rows of extreme norm, as a scan of the training rows tells them; all else but fvu_all is of the other rows,
                    and with sinks=drop and clip the model keeps its own vectors there
  fvu, ev           fraction of variance unexplained, about the mean of the rows; ev = 1 − fvu; fvu_all is with sinks
  ev_legacy         mean over rows of 1 − ‖r‖²/‖x−μ_batch‖², as older tables have it
  fve_var           1 − Σ Var(r)/Σ Var(x); forgives a constant offset
  l0                active latents of a row; dead: latents that never fired; under_1e-5: on fewer rows than that share;
                    dense: on more than a tenth of the rows
  bits              of a tokenizer's row, ids · log₂ values; entropy: bits that an id carries, perplexity = 2^entropy;
                    usage: share of the values that occur; diversity: the least share of its bits that an id carries;
                    alike: the greatest share of rows in which two ids are equal
  cosine, l2_ratio, relative_bias     direction, length and shrinkage of the reconstructions
  ce_clean, ce_coder, ce_zero         next-token cross entropy of the unchanged model, with the coder, with zeros
  kl_coder, kl_zero                   KL divergence from the unchanged model's prediction
` + exitCodes,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return runEval(c.Context(), args, o, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.Var((*pathList)(&o.from), "from", "runs to read")
	f.StringVar(&o.model, "model", "", "checkpoint of the run, to measure loss recovered and KL divergence with the reconstructions")
	f.IntVar(&o.prompts, "prompts", 64, "with --model: number of held-out prompts, each run three times")
	f.IntVar(&o.rows, "rows", 0, "evaluate at most this many rows (0: all that are held out)")
	f.BoolVar(&o.all, "all", false, "include the rows that were trained on")
	f.IntVar(&o.threads, "threads", 0, "compute threads (0: all cores)")
	f.BoolVar(&o.jsonOut, "json", false, "print JSON")
	o.target.flagsOfOne(f)
	return c
}

// measured is one coder's line of the table.
type measured struct {
	Dir   string `json:"coder"`
	Kind  string `json:"kind"`
	Arch  string `json:"arch"`
	Site  string `json:"site"`
	Layer int    `json:"layer"`
	Width int    `json:"width"`
	K     string `json:"k,omitempty"` // how l0 is bound, of an autoencoder
	coder.Evaluation
}

func runEval(ctx context.Context, args []string, o evalOptions, out io.Writer) error {
	dirs, err := coderDirs(args)
	if err != nil {
		return err
	}
	t := trainOptions{from: o.from, out: dirs[0], sites: "all", threads: o.threads}
	runs, err := t.sources(ctx)
	if err != nil {
		return err
	}
	var patched *patched
	if o.model != "" {
		if patched, err = openPatched(ctx, o.target, o.model, runs); err != nil {
			return err
		}
		defer patched.free()
	}
	table, failed, err := evalAll(ctx, dirs, measure.EvalOptions{All: o.all, Rows: o.rows, Prompts: o.prompts}, patched, runs)
	switch {
	case err != nil:
		return err
	case len(table) == 0:
		return failed
	case o.jsonOut:
		for i := range table {
			table[i].Latents = nil // they are in eval.json
		}
		return errors.Join(printJSON(out, table), failed)
	}
	return errors.Join(printMeasured(out, table), failed)
}

// evalAll measures one coder after another. Those that cannot be, as a training that has not ended, are named in failed.
func evalAll(ctx context.Context, dirs []string, o measure.EvalOptions, p *patched, runs []stream.Source) (table []measured, failed, err error) {
	m := newMeter(os.Stderr)
	for i, dir := range dirs {
		m.show(fmt.Sprintf("measuring %s, %d of %d", dir, i+1, len(dirs)))
		line, err := evalOne(ctx, dir, o, p, runs)
		switch {
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("%s: %w", baseName(dir), err))
		default:
			table = append(table, line)
		}
	}
	m.last(fmt.Sprintf("measured %d of %d coders", len(table), len(dirs)))
	return table, failed, nil
}

// coderDirs replaces folders that hold coders but are none by what they hold.
func coderDirs(args []string) (dirs []string, err error) {
	for _, dir := range args {
		found, err := coder.List(dir)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, found...)
	}
	if len(dirs) == 0 {
		return nil, errors.New("no coders given")
	}
	return dirs, nil
}
