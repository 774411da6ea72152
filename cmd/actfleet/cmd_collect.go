package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"actfleet/collector"
	"actfleet/collector/model"
	"actfleet/collector/model/bpe"
	"actfleet/collector/node"
	"actfleet/internal/torch"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/tap"
)

// collectOptions are the flags of collect.
type collectOptions struct {
	model, out            string
	sites, layers, tokens string
	dtype                 string
	choices, accept       []string
	adapters              []string // NAME=DIR each
	maxTokens, threads    int
	unitPrompts           int
	keepText, offsets     bool
	dryRun, jsonOut       bool
	ring                  ringOptions
	data                  dataOptions
	fleet                 fleetOptions
	node                  nodeOptions
	target                targetOptions
	given                 func(flag string) bool // on the command line; nil: nobody knows
}

func newCollect() *cobra.Command {
	var o collectOptions
	c := &cobra.Command{
		Use:   "collect --model DIR --data FILES --out RUN",
		Short: "Run prompts through a model and store its activations",
		Long: `Runs every prompt of a data set through a model and writes the chosen activations to RUN as Parquet.
Every node of a fleet runs the same command, with --join and --bind; a joining node needs only --model,
--out and --join. Running the same command on a half-finished RUN resumes it,
and so does --model and --out alone; other flags must then agree with the plan of RUN.
Ctrl-C, SIGTERM or SIGHUP: drain (finish or drop the current unit, leave the fleet); twice: exit at once (nothing committed
is lost). SIGUSR1: pause, starting nothing new; SIGUSR2: resume.
` + exitCodes,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			o.given = c.Flags().Changed
			return runCollect(c.Context(), o, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&o.model, "model", "", "directory with config.json, tokenizer.json and *.safetensors, a .gguf file, or ORG/NAME[@REVISION] on the hub")
	f.StringSliceVar(&o.accept, "accept", nil, "unknown keys of config.json to ignore (see check --parity)")
	f.StringArrayVar(&o.adapters, "adapter", nil, "NAME=DIR: also collect with this adapter, into columns that end in __NAME; repeatable (docs/adapters.md)")
	f.StringVar(&o.out, "out", "", "the run: a directory all nodes share, or s3://bucket/prefix")
	f.StringVar(&o.sites, "sites", "all", "sites to tap: all (Wqkv,out_proj,fc1,fc2,resid), every, or a list of sites, columns (z_12) and other programs' names of them (docs/sites.md)")
	f.StringVar(&o.layers, "layers", "all", "layers: all, 0,5,10-20 or -1 (from the end)")
	f.StringVar(&o.tokens, "tokens", "last", "token positions: last, all, every:N, pos:N; assistant, user, system (what a role says), not-special, mask:COLUMN, span:COLUMN")
	f.BoolVar(&o.offsets, "offsets", false, "add columns start and end: the code points of the text that each token stands for")
	f.StringSliceVar(&o.choices, "choices", nil, "two words, no first (no,yes): adds the model's own answer as p_no, p_yes, choice_cov")
	f.StringVar(&o.dtype, "dtype", "auto", "dtype of the stored vectors: auto (f16, or f32 where a value overflows), f16 or f32")
	f.IntVar(&o.maxTokens, "max-tokens", 0, "maximum prompt length in tokens; --long says what happens to longer ones (0: the model's maximum positions)")
	f.IntVar(&o.threads, "threads", 0, "batches computed in parallel, one thread each (0: all cores, shared among the nodes on this host)")
	f.IntVar(&o.unitPrompts, "unit-prompts", 0, "prompts of a unit, the piece of work one node takes (0: 48 units or more, by tokens, model and bytes)")
	f.BoolVar(&o.keepText, "keep-text", false, "keep the rendered prompt as a column")
	o.data.flags(f)
	o.ring.flags(f)
	f.BoolVar(&o.dryRun, "dry-run", false, "print what would be collected, or what is left of it, with size, time, memory and what bounds it; keep nothing")
	f.BoolVar(&o.jsonOut, "json", false, "print the summary as JSON")
	o.fleet.flags(f)
	o.node.flags(f)
	o.target.flags(f)
	return c
}

func (o collectOptions) check() error {
	switch {
	case o.model == "" || o.out == "":
		return fmt.Errorf("%w: collect needs --model and --out", errUsage)
	case o.dryRun && o.data.none():
		return fmt.Errorf("%w: --dry-run needs --data", errUsage)
	case o.dtype != "auto" && o.dtype != "f16" && o.dtype != "f32":
		return fmt.Errorf("%w: --dtype %s: want auto, f16 or f32", errUsage, o.dtype)
	case o.maxTokens < 0 || o.data.opt.Limit < 0 || o.threads < 0:
		return fmt.Errorf("%w: --max-tokens, --limit and --threads cannot be negative", errUsage)
	case o.unitPrompts < 0:
		return fmt.Errorf("%w: --unit-prompts cannot be negative", errUsage)
	}
	if o.data.none() {
		if err := o.checkFollow(); err != nil {
			return err
		}
	}
	return errors.Join(o.ring.check(), o.node.check())
}

func runCollect(ctx context.Context, o collectOptions, out io.Writer) error {
	if err := errors.Join(o.check(), o.fleet.check(ctx)); err != nil {
		return err
	}
	c, err := o.node.open(os.Stderr)
	if err != nil {
		return err
	}
	j, err := newJob(ctx, o)
	for _, note := range j.notes {
		c.Info(note)
	}
	switch {
	case err != nil:
	case o.dryRun:
		err = j.dryRun(ctx, out)
	default:
		err = j.collect(ctx, c, out)
	}
	return errors.Join(err, c.close())
}

// job is one collect command on its way from flags to a finished run.
type job struct {
	o       collectOptions
	started time.Time
	text    *bpe.BPE // nil without a tokenizer
	noText  error    // why there is none
	notes   []string // what was decided about the data, in words
	data    *dataSummary
	node    *node.Job
	store   store.Store // nil until it is needed
}

// newJob loads what the flags name and has a plan: its own, or the run's. The job is there even after an error, with
// the notes so far.
func newJob(ctx context.Context, o collectOptions) (*job, error) {
	j := &job{o: o, started: time.Now()}
	var err error
	if j.o.model, err = fetchModel(ctx, o.model); err != nil {
		return j, err
	}
	j.text, j.noText = model.LoadTokenizer(j.o.model)
	if j.noText != nil && (!errors.Is(j.noText, model.ErrNoTokenizer) || len(o.choices) > 0) {
		return j, j.noText
	}
	torch.SetThreads(1) // of each lane
	if !o.data.none() {
		return j, j.prepare()
	}
	return j, j.follow(ctx)
}

// follow takes the plan of the run, with which the flags must agree.
func (j *job) follow(ctx context.Context) error {
	if _, err := j.o.choice(); err != nil { // before a wait
		return err
	}
	if len(j.o.fleet.join) == 0 { // nobody else will make the plan
		if _, _, err := openRun(ctx, j.o.out); errors.Is(err, errNoRun) {
			return fmt.Errorf("%w: collect needs --data, or --join to take the plan of a running fleet: %w", errUsage, err)
		} else if err != nil {
			return err
		}
	}
	tell := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	var err error
	if j.store, err = openStore(ctx, j.o.out, true); err != nil {
		return err
	}
	if j.node, err = node.Follow(ctx, j.store, j.o.model, j.load, tell); err != nil {
		return err
	}
	return j.o.agreeOnTaps(j.node.Plan, j.node.Model)
}

// fetchModel is model.Fetch with a line on stderr for each file.
func fetchModel(ctx context.Context, name string) (string, error) {
	return model.Fetch(ctx, name, func(file string, size int64) {
		fmt.Fprintf(os.Stderr, "fetching %s of %s (%s)\n", file, name, bytesText(float64(size)))
	})
}

// load loads the model for the plan of a run that another node has begun, with which the flags must agree.
func (j *job) load(dir string, p run.Plan) (collector.Model, error) {
	if err := j.o.agree(p); err != nil {
		return nil, err
	}
	target, err := j.o.target.as(p)
	if err != nil {
		return nil, err
	}
	l, err := target.load(dir, p.Model.Accept...)
	if err == nil {
		err = adapt(l.model, j.o.adapters)
	}
	return l.model, err
}

// prepare reads the data set and the model and makes the plan from the flags.
func (j *job) prepare() error {
	choice, err := j.o.choice()
	if err != nil {
		return err
	}
	rule, err := tap.ParseRule(j.o.tokens)
	if err != nil {
		return fmt.Errorf("%w: --tokens: %w", errUsage, err)
	}
	loaded, err := j.o.target.load(j.o.model, j.o.accept...)
	if err == nil {
		err = adapt(loaded.model, j.o.adapters)
	}
	if err != nil {
		return err
	}
	m := loaded.model
	info := m.Info()
	for _, note := range append(info.Notes, j.text.Notes()...) {
		fmt.Fprintln(os.Stderr, note)
	}
	layers, err := tap.ParseLayers(j.o.layers, info.Layers)
	if err != nil {
		return fmt.Errorf("%w: --layers: %w", errUsage, err)
	}
	if err := choice.Check(info.Layers); err != nil {
		return fmt.Errorf("%w: --sites: %w", errUsage, err)
	}
	in, err := j.tokenize(info, rule)
	if err != nil {
		return err
	}
	ask := collector.Ask{Sites: choice.Sites, Taps: choice.Taps, Loose: choice.Loose, Layers: layers, Tokens: rule, Dtype: j.o.dtype, Template: j.o.data.opt.Template,
		Choices: j.o.choices, MaxTokens: j.o.maxTokens, Limit: j.o.data.opt.Limit, KeepText: j.o.keepText, Offsets: j.o.offsets, UnitPrompts: j.o.unitPrompts,
		Compute: loaded.compute, Device: loaded.kind, GPU: loaded.gpu, Memory: loaded.memory, Corpus: in.corpus, Ring: j.o.ring.ring()}
	j.node, err = node.NewJob(ask, m, in.prompts, in.spool, in.sum, j.o.data.name())
	if err == nil {
		j.notes = append(j.notes, append(choice.Notes, siteNotes(ask, m, j.node.Plan)...)...)
	}
	return err
}

// siteNotes say which sites of a whole list are left out, which some layers lack, and which are stored under another's name.
func siteNotes(ask collector.Ask, m collector.Model, p run.Plan) (notes []string) {
	for _, site := range ask.Absent(m) {
		notes = append(notes, fmt.Sprintf("%s is left out: %s (%s) has none at the layers asked for", site, p.Model.Name, p.Model.Arch))
	}
	for _, site := range ask.Sites {
		without := ask.Without(m, site)
		if site != tap.Embed && site != tap.Final && len(without) > 0 && len(without) < len(ask.Layers) {
			notes = append(notes, fmt.Sprintf("%s is left out at %s: %s (%s) has none there", site, tap.LayersText(without), p.Model.Name, p.Model.Arch))
		}
	}
	for _, site := range slices.SortedFunc(maps.Keys(p.Same), tap.Site.Compare) {
		notes = append(notes, fmt.Sprintf("%s is %s in this model: it is stored once, as %s, and SQL has both names", site, p.Same[site], p.Same[site]))
	}
	return notes
}

// collect lives as a node of the run's fleet until the run is whole.
func (j *job) collect(ctx context.Context, c *console, out io.Writer) (err error) {
	if j.store == nil {
		if j.store, err = openStore(ctx, j.o.out, true); err != nil {
			return err
		}
	}
	cfg := node.Config{Job: j.node, Store: j.store, Started: j.started, Version: version(), Threads: j.o.threads,
		Grace: j.o.node.grace, Signals: c.signals, Encode: j.encode, Token: j.text.Token}
	if !inBucket(j.o.out) {
		cfg.Dir = j.o.out
	}
	if cfg.Fleet, err = j.o.fleet.config(c.Logger); err != nil {
		return err
	}
	if c.monitor != nil {
		defer context.AfterFunc(ctx, c.monitor.Leave)()
	}
	sum, err := node.Run(ctx, cfg, c)
	if err != nil {
		return err
	}
	return j.print(out, sum)
}

func (j *job) encode(text string) []int32 { return j.text.Encode(text, false) }

// alone is the part of a process that shares its host with no other node, and has neither store nor fleet.
func (j *job) alone() collector.Config {
	lanes := cmp.Or(j.o.threads, runtime.NumCPU())
	if copies, ok := j.node.Model.(interface{ Passes() int }); ok && j.o.threads == 0 { // as a node does
		lanes = copies.Passes()
	}
	return collector.Config{Plan: j.node.Plan, Input: j.node.Input, Model: j.node.Model, Now: time.Now,
		Lanes: func() int { return lanes }, Encode: j.encode, Token: j.text.Token}
}
