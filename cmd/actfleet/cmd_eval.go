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
loss_recovered@COLUMN and kl_score@COLUMN are of one. The result is kept in DIR/eval.json, from which report draws.

  fvu, ev           fraction of variance unexplained, about the mean of all rows; ev = 1 − fvu
  ev_legacy         mean over rows of 1 − ‖r‖²/‖x−μ_batch‖², as older tables have it
  fve_var           1 − Σ Var(r)/Σ Var(x); forgives a constant offset
  l0                active latents of a row; dead: latents that never fired; under_1e-5: on fewer rows than that share;
                    dense: on more than a tenth of the rows
  bits              of a tokenizer's row, ids · log₂ values; entropy: bits that an id carries, perplexity = 2^entropy;
                    usage: share of the values that occur; diversity: the least share of its bits that an id carries;
                    alike: the greatest share of rows in which two ids are equal
  cosine, l2_ratio, relative_bias     direction, length and shrinkage of the reconstructions
  ce_clean, ce_coder, ce_zero         cross entropy of the next token, of the model alone, with the coder, with zeros
  kl_coder, kl_zero                   divergence of the prediction from the model's own
` + exitCodes,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return runEval(c.Context(), args, o, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.Var((*pathList)(&o.from), "from", "runs to read")
	f.StringVar(&o.model, "model", "", "checkpoint of the run, to measure what the reconstructions leave of its loss")
	f.IntVar(&o.prompts, "prompts", 64, "with --model: how many held-out prompts it runs, three times each")
	f.IntVar(&o.rows, "rows", 0, "measure at most so many rows (0: all that are held out)")
	f.BoolVar(&o.all, "all", false, "also the rows that were trained on")
	f.IntVar(&o.threads, "threads", 0, "compute threads (0: all cores)")
	f.BoolVar(&o.jsonOut, "json", false, "print JSON")
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
	coder.Evaluation
}

func runEval(ctx context.Context, args []string, o evalOptions, out io.Writer) error {
	dirs, err := coderDirs(args)
	if err != nil {
		return err
	}
	t := trainOptions{from: o.from, out: dirs[0], site: "all", threads: o.threads}
	runs, err := t.sources(ctx)
	if err != nil {
		return err
	}
	var patched *patched
	if o.model != "" {
		if patched, err = openPatched(ctx, o.model, runs); err != nil {
			return err
		}
	}
	m := newMeter(os.Stderr)
	var table []measured
	for i, dir := range dirs {
		m.show(fmt.Sprintf("measuring %s, %d of %d", dir, i+1, len(dirs)))
		line, err := evalOne(ctx, dir, measure.EvalOptions{All: o.all, Rows: o.rows, Prompts: o.prompts}, patched, runs)
		if err != nil {
			return err
		}
		table = append(table, line)
	}
	m.last(fmt.Sprintf("measured %d coders", len(dirs)))
	if o.jsonOut {
		for i := range table {
			table[i].Latents = nil // they are in eval.json
		}
		return printJSON(out, table)
	}
	return printMeasured(out, table)
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
