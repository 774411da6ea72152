package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"actfleet/internal/outfile"
	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/tap"
	"actfleet/trainer"
	"actfleet/trainer/coder"
	"actfleet/trainer/parallel"
	"actfleet/trainer/recipe"
	"actfleet/trainer/stream"
)

// trainOptions are the flags all kinds of training share.
type trainOptions struct {
	from          []string
	sites, layers string
	variant       string // an adapter's name; "" is the base
	out, config   string
	set           []string
	where         []string
	resume, fork  bool
	checkpoints   string // a directory or a bucket; "" is out
	follow        bool
	device        string
	compute       string // products of a GPU
	reader        string // of a ring
	threads       int
	jsonOut       bool
	ranks         rankOptions
	write         bool // into the runs
}

func newTrain() *cobra.Command {
	var o trainOptions
	c := &cobra.Command{
		Use:   "train sae|tokenizer|probe --from RUN --out DIR  |  train -f sweep.yaml --from RUN --out DIR",
		Short: "Train sparse autoencoders, activation tokenizers or truth probes from a run's shards",
		Long:  "Streams the shards; memory does not grow with the run.\n" + sweepHelp + ranksHelp + exitCodes,
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if o.config == "" {
				return fmt.Errorf("%w: train what? sae, tokenizer, probe, or -f sweep.yaml", errUsage)
			}
			return runSweep(c.Context(), o, c.OutOrStdout())
		},
	}
	o.flags(c.Flags())
	o.resumeFlags(c.Flags())
	c.AddCommand(newTrainCoder("sae", coder.SAE, "a sparse autoencoder (default: TopK with auxiliary loss)"),
		newTrainCoder("tokenizer", coder.VQ, "an activation tokenizer (default: a codebook learned by moving averages)"), newTrainProbe())
	return c
}

func newTrainCoder(name, kind, what string) *cobra.Command {
	var o trainOptions
	c := &cobra.Command{
		Use:   name + " --from RUN --sites SITE --layers N --out DIR",
		Short: "Train " + what,
		Long:  "Several taps are trained together, each in its own folder.\n" + ranksHelp + "\nKeys for --set and the -f file, with their defaults:\n" + keyList(kind) + exitCodes,
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return runTrain(c.Context(), kind, o, c.OutOrStdout())
		},
	}
	o.flags(c.Flags())
	o.resumeFlags(c.Flags())
	return c
}

func (o *trainOptions) flags(f *pflag.FlagSet) {
	f.Var((*pathList)(&o.from), "from", "runs to read")
	f.StringVar(&o.sites, "sites", "", "site, or several: Wqkv,out_proj,fc1,fc2,resid …, all or every (docs/sites.md)")
	f.StringVar(&o.variant, "variant", "", "train on the vectors of this adapter (default: the base model's)")
	f.StringVar(&o.sites, "site", "", "the same as --sites")
	f.MarkHidden("site")
	f.StringVar(&o.layers, "layers", "all", "layers: all, 0,5,10-20 or -1")
	f.StringVar(&o.out, "out", "", "folder of the coder; several coders get one subfolder each")
	f.StringVarP(&o.config, "file", "f", "", "YAML file: keys as for --set, or a sweep")
	f.StringArrayVar(&o.set, "set", nil, "key=value, overrides the file")
	f.StringArrayVar(&o.where, "where", nil, "only rows that satisfy this, such as \"label = 1 and pos > 0\"; added to the file's conditions")
	f.IntVar(&o.threads, "threads", 0, "compute threads (0: all cores)")
	f.BoolVar(&o.jsonOut, "json", false, "print the result as JSON")
}

func (o *trainOptions) resumeFlags(f *pflag.FlagSet) {
	f.StringVar(&o.checkpoints, "checkpoints", "", "keep checkpoints here rather than in --out: a directory or s3://bucket/prefix")
	f.BoolVar(&o.resume, "resume", false, "continue from the last checkpoint, or start from scratch if there is none")
	f.BoolVar(&o.fork, "fork", false, "with --resume: continue even though the config has changed, and record the change in cfg.json")
	f.StringVar(&o.reader, "reader", "", "with --follow: which of a ring's readers this training is (collect --ring --readers)")
	f.StringVar(&o.device, "device", trainer.Auto, "auto (the first GPU, for an autoencoder without --ranks, else cpu), cpu, cuda or cuda:0")
	f.StringVar(&o.compute, "compute", trainer.Auto, "precision of matrix products on a GPU: auto (tf32), f32, tf32 or bf16; the CPU computes in f32")
	o.ranks.flags(f)
	f.BoolVar(&o.follow, "follow", false, "train while the run is being collected, waiting for the units needed; the order of rows is the same")
}

func keyList(kind string) string {
	var b strings.Builder
	for _, k := range recipe.Keys(kind) {
		fmt.Fprintf(&b, "  %-18s %s\n", k[0], k[1])
	}
	return b.String()
}

// sources opens the runs named by --from.
func (o *trainOptions) sources(ctx context.Context) ([]stream.Source, error) {
	if err := o.ranks.check(); err != nil {
		return nil, err
	}
	if len(o.from) == 0 || o.out == "" {
		return nil, fmt.Errorf("%w: train needs --from and --out", errUsage)
	}
	if err := outfile.CheckFolder(o.out); err != nil {
		return nil, err
	}
	var runs []stream.Source
	for _, run := range o.from {
		st, plan, err := o.openRun(ctx, run)
		if err != nil {
			return nil, err
		}
		runs = append(runs, stream.Source{Store: st, Plan: plan})
	}
	parallel.SetThreads(o.threads)
	return runs, nil
}

// narrow adds the conditions of --where.
func (o *trainOptions) narrow(cfg recipe.Recipe) (recipe.Recipe, error) {
	cfg.Data.Where = append(slices.Clone(cfg.Data.Where), o.where...)
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("%w: %w", errUsage, err)
	}
	return cfg, nil
}

// taps are those of --sites and --layers that the first run holds.
func (o *trainOptions) taps(runs []stream.Source) ([]tap.Tap, error) {
	if o.sites == "" {
		return nil, fmt.Errorf("%w: train needs --sites", errUsage)
	}
	plan := runs[0].Plan
	if o.variant != "" && !slices.ContainsFunc(plan.Adapters, func(a run.AdapterRef) bool { return a.Name == o.variant }) {
		return nil, fmt.Errorf("%w: --variant %s: %s has no such adapter", errUsage, o.variant, o.from[0])
	}
	choice, err := tap.ParseChoice(o.sites, plan.Model.Arch)
	if err != nil {
		return nil, fmt.Errorf("%w: --sites: %w", errUsage, err)
	}
	layers, err := tap.ParseLayers(o.layers, plan.Model.Layers)
	if err != nil {
		return nil, fmt.Errorf("%w: --layers: %w", errUsage, err)
	}
	if err := choice.Check(plan.Model.Layers); err != nil {
		return nil, fmt.Errorf("%w: --sites: %w", errUsage, err)
	}
	var taps []tap.Tap
	for _, t := range choice.At(layers) {
		stored := plan.Stored(t)
		i, ok := plan.Schema().VectorIndex(o.column(plan, stored))
		numbers := ok && plan.Vectors[i].Dtype == shard.I32
		if numbers && !choice.Loose {
			return nil, fmt.Errorf("%w: --sites: %s holds numbers of experts, not vectors to learn from", errUsage, o.column(plan, stored))
		}
		if ok && !numbers {
			if !slices.Contains(taps, stored) {
				taps = append(taps, stored)
			}
		} else if !choice.Loose && (o.layers != "all" || slices.Contains(choice.Taps, t)) {
			return nil, fmt.Errorf("%s has no column %s", o.from[0], t.Column(o.variant))
		}
	}
	if len(taps) == 0 {
		return nil, fmt.Errorf("%s holds none of the sites %s at layers %s", o.from[0], o.sites, o.layers)
	}
	return taps, nil
}

// load reads what every kind of training starts from: its configuration, its runs and the taps to train on.
func (o *trainOptions) load(ctx context.Context, kind string) (cfg recipe.Recipe, runs []stream.Source, taps []tap.Tap, err error) {
	if cfg, err = recipe.Load(kind, o.config, o.set); err != nil {
		return cfg, nil, nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	if cfg, err = o.narrow(cfg); err != nil {
		return cfg, nil, nil, err
	}
	if runs, err = o.sources(ctx); err != nil {
		return cfg, nil, nil, err
	}
	taps, err = o.taps(runs)
	return cfg, runs, taps, err
}

// column is the name under which a run of this plan stores a tap of the variant.
func (o *trainOptions) column(p run.Plan, t tap.Tap) string { return p.Column(t.Column(o.variant)) }

// job is a training of one tap with the flags that all trainings share.
func (o *trainOptions) job(dir string, runs []stream.Source, t tap.Tap, cfg recipe.Recipe) trainer.Job {
	host, _ := os.Hostname() // "" is as good a name
	plan := runs[0].Plan
	cfg.SAE.Target, cfg.SAE.Beside = plan.Column(cfg.SAE.Target), slices.Clone(cfg.SAE.Beside)
	for i, name := range cfg.SAE.Beside {
		cfg.SAE.Beside[i] = plan.Column(name)
	}
	return trainer.Job{Dir: dir, Runs: runs, Column: o.column(plan, t), Recipe: cfg,
		Resume: o.resume, Fork: o.fork, Reader: o.reader, Device: o.device, Compute: o.compute, Program: version(), Host: host, Now: time.Now}
}

func runTrain(ctx context.Context, kind string, o trainOptions, out io.Writer) error {
	cfg, runs, taps, err := o.load(ctx, kind)
	if err != nil {
		return err
	}
	var jobs []trainer.Job
	for _, t := range taps {
		dir := o.out
		if len(taps) > 1 {
			dir = filepath.Join(o.out, t.Column(o.variant))
		}
		jobs = append(jobs, o.job(dir, runs, t, cfg))
	}
	return o.train(ctx, jobs, out)
}

// train trains the jobs together and prints what came of them.
func (o *trainOptions) train(ctx context.Context, jobs []trainer.Job, out io.Writer) error {
	if err := checkMemory(jobs, os.Stderr); err != nil {
		return err
	}
	sayNear(ctx, jobs, os.Stderr)
	defer debug.SetGCPercent(debug.SetGCPercent(trainer.GCPercent))
	if err := o.place(ctx, jobs); err != nil {
		return err
	}
	if o.ranks.distributed() {
		return o.trainDistributed(ctx, jobs, out)
	}
	results, err := o.trainShown(ctx, jobs)
	if errors.Is(err, trainer.ErrReaderEnded) && trainer.Ended(jobs) {
		fmt.Fprintf(out, "%s is trained, and reader %s has ended\n", o.out, o.reader)
		return nil
	}
	return o.show(jobs, results, err, out)
}

// show prints what came of the jobs, which ended with err.
func (o *trainOptions) show(jobs []trainer.Job, results []trainer.Result, err error, out io.Writer) error {
	if o.jsonOut && results != nil {
		return errors.Join(err, printJSON(out, results))
	}
	for i, r := range results {
		if r.Failed == "" {
			printTrained(out, jobs[i], r)
		}
	}
	return err
}

// place puts the checkpoints of jobs where --checkpoints says; those of several coders in a directory each.
func (o *trainOptions) place(ctx context.Context, jobs []trainer.Job) error {
	if o.checkpoints == "" {
		return nil
	}
	st, err := openStore(ctx, o.checkpoints, true)
	if err != nil {
		return fmt.Errorf("--checkpoints: %w", err)
	}
	for i, j := range jobs {
		p := &trainer.Place{Store: st}
		if j.Dir != o.out {
			p.Dir = filepath.Base(j.Dir)
		}
		jobs[i].Checkpoints = p
	}
	return nil
}
