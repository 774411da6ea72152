package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"actfleet/collector/model/tap"
	"actfleet/internal/torch"
	"actfleet/trainer"
	"actfleet/trainer/stream"
)

// trainOptions are the flags all kinds of training share.
type trainOptions struct {
	from         []string
	site, layers string
	out, config  string
	set          []string
	resume       bool
	threads      int
	jsonOut      bool
	write        bool // into the runs
}

func newTrain() *cobra.Command {
	c := &cobra.Command{
		Use:   "train sae|tokenizer|probe --from RUN --out DIR",
		Short: "Train a sparse autoencoder, an activation tokenizer or truth probes from a run's shards",
		Long:  "Streams the shards; memory does not grow with the run.\n" + exitCodes,
	}
	c.AddCommand(newTrainCoder("sae", trainer.SAE, "a sparse autoencoder, TopK with auxiliary loss unless arch says otherwise"),
		newTrainCoder("tokenizer", trainer.VQ, "a vector quantiser with an averaged codebook"), newTrainProbe())
	return c
}

func newTrainCoder(name, kind, what string) *cobra.Command {
	var o trainOptions
	c := &cobra.Command{
		Use:   name + " --from RUN --site SITE --layers N --out DIR",
		Short: "Train " + what,
		Long:  "Keys for --set and the file of -f, with their defaults:\n" + keyList(kind) + exitCodes,
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return runTrain(c.Context(), kind, o, c.OutOrStdout())
		},
	}
	o.flags(c)
	c.Flags().BoolVar(&o.resume, "resume", false, "go on from the last checkpoint in --out")
	return c
}

func (o *trainOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringSliceVar(&o.from, "from", nil, "runs to read")
	f.StringVar(&o.site, "site", "", "site, or several: Wqkv,out_proj,fc1,fc2,resid or all")
	f.StringVar(&o.layers, "layers", "all", "layers: all, 0,5,10-20 or -1")
	f.StringVar(&o.out, "out", "", "folder of the coder; with several taps, one folder each below it")
	f.StringVarP(&o.config, "file", "f", "", "YAML file with keys as below")
	f.StringArrayVar(&o.set, "set", nil, "key=value, wins over the file")
	f.IntVar(&o.threads, "threads", 0, "compute threads (0: all cores)")
	f.BoolVar(&o.jsonOut, "json", false, "print the result as JSON")
}

func keyList(kind string) string {
	var b strings.Builder
	for _, k := range trainer.Keys(kind) {
		fmt.Fprintf(&b, "  %-16s %s\n", k[0], k[1])
	}
	return b.String()
}

// sources opens the runs named by --from.
func (o *trainOptions) sources(ctx context.Context) ([]stream.Source, error) {
	if len(o.from) == 0 || o.out == "" || o.site == "" {
		return nil, fmt.Errorf("%w: train needs --from, --site and --out", errUsage)
	}
	var runs []stream.Source
	for _, run := range o.from {
		st, plan, err := openRunFor(ctx, run, o.write)
		if err != nil {
			return nil, err
		}
		runs = append(runs, stream.Source{Store: st, Plan: plan})
	}
	if o.threads > 0 {
		torch.SetThreads(o.threads)
	}
	return runs, nil
}

// taps are those of --site and --layers that the first run holds.
func (o *trainOptions) taps(runs []stream.Source) ([]tap.Tap, error) {
	sites, err := tap.ParseSites(o.site)
	if err != nil {
		return nil, fmt.Errorf("%w: --site: %w", errUsage, err)
	}
	plan := runs[0].Plan
	layers, err := tap.ParseLayers(o.layers, plan.Model.Layers)
	if err != nil {
		return nil, fmt.Errorf("%w: --layers: %w", errUsage, err)
	}
	var taps []tap.Tap
	for _, t := range tap.Cross(sites, layers) {
		if _, ok := plan.Schema().VectorIndex(t.Column("")); ok {
			taps = append(taps, t)
		} else if o.layers != "all" && o.site != "all" {
			return nil, fmt.Errorf("%s has no column %s", o.from[0], t.Column(""))
		}
	}
	if len(taps) == 0 {
		return nil, fmt.Errorf("%s holds none of the sites %s at layers %s", o.from[0], o.site, o.layers)
	}
	return taps, nil
}

// load reads what every kind of training starts from: its configuration, its runs and the taps to train on.
func (o *trainOptions) load(ctx context.Context, kind string) (cfg trainer.Config, runs []stream.Source, taps []tap.Tap, err error) {
	if cfg, err = trainer.LoadConfig(kind, o.config, o.set); err != nil {
		return cfg, nil, nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	if runs, err = o.sources(ctx); err != nil {
		return cfg, nil, nil, err
	}
	taps, err = o.taps(runs)
	return cfg, runs, taps, err
}

func runTrain(ctx context.Context, kind string, o trainOptions, out io.Writer) error {
	cfg, runs, taps, err := o.load(ctx, kind)
	if err != nil {
		return err
	}
	var results []trainer.Result
	for _, t := range taps {
		dir := o.out
		if len(taps) > 1 {
			dir = filepath.Join(o.out, t.Column(""))
		}
		r, err := trainOne(ctx, trainer.Job{Kind: kind, Dir: dir, Runs: runs, Column: t.Column(""), Config: cfg,
			Resume: o.resume, Program: version(), Now: time.Now})
		if err != nil {
			return err
		}
		results = append(results, r)
		if !o.jsonOut {
			printTrained(out, dir, kind, t, r)
		}
	}
	if o.jsonOut {
		return printJSON(out, results)
	}
	return nil
}

// trainOne trains one coder and shows its progress.
func trainOne(ctx context.Context, j trainer.Job) (trainer.Result, error) {
	m := newMeter(os.Stderr)
	last := ""
	j.Progress = func(e trainer.Event) {
		last = eventLine(j.Column, e)
		m.show(last)
	}
	r, err := trainer.Train(ctx, j)
	if last != "" {
		m.last(last)
	}
	if errors.Is(err, trainer.ErrExists) {
		err = fmt.Errorf("%s: %w (--resume goes on, another --out starts anew)", j.Dir, err)
	}
	return r, err
}

// shown are the metrics of a progress line, in order, as far as a kind has them.
var shown = []string{"loss", "fvu", "l0", "dead", "perplexity", "usage"}

func eventLine(column string, e trainer.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s step %d of %d", column, e.Step, e.Total)
	for _, name := range shown {
		if v, ok := e.Values[name]; ok {
			fmt.Fprintf(&b, "  %s %.4g", name, v)
		}
	}
	if e.Step > 0 && e.Seconds > 0 {
		rate := float64(e.Rows) / e.Seconds
		left := time.Duration(e.Seconds / float64(e.Step) * float64(e.Total-e.Step) * float64(time.Second))
		fmt.Fprintf(&b, "  %.3g rows/s  ETA %s", rate, timeText(left))
	}
	return b.String()
}

func printTrained(out io.Writer, dir, kind string, t tap.Tap, r trainer.Result) {
	fmt.Fprintf(out, "%s: %s of %s, %d steps over %d rows in %s (waited for data %.1f %%)\n", dir, kind, t.Column(""),
		r.Steps, r.Rows, timeText(time.Duration(r.Seconds*float64(time.Second))), 100*r.Starved)
	fmt.Fprintf(out, "  held out:%s\n", metricText(r.Eval))
}
