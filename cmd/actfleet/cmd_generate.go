package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"actfleet/collector/dataset"
	"actfleet/collector/generate"
	"actfleet/collector/model"
	"actfleet/collector/model/sampling"
	"actfleet/shard/tap"
)

// generateOptions are the flags of generate.
type generateOptions struct {
	model   string
	most    int
	stop    []string
	rule    sampling.Rule
	seed    uint64
	steer   []string
	jsonOut bool
	data    dataOptions
	target  targetOptions
}

func newGenerate() *cobra.Command {
	var o generateOptions
	c := &cobra.Command{
		Use:   "generate --model DIR --data FILES|-",
		Short: "Continue prompts with a model",
		Long: `Continues every prompt of a data set, greedily or by sampling, and writes the completions in the order of the data.
With --json each line is an object: row, prompt, completion, finish (end, stop or length), input_ids (prompt and completion),
generated (1 for each id that was added), and the data's own columns. Such a file is data for collect:
--data FILE --tokens mask:generated keeps the activations of the generated tokens.
` + exitCodes,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return runGenerate(c.Context(), o, c.InOrStdin(), c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&o.model, "model", "", "directory with config.json, tokenizer.json and *.safetensors, a .gguf file, or ORG/NAME[@REVISION] on the hub")
	f.IntVar(&o.most, "max-tokens", 64, "most tokens to add to a prompt")
	f.StringArrayVar(&o.stop, "stop", nil, "end a completion before this text; repeatable")
	f.Float64Var(&o.rule.Temperature, "temperature", 0, "divide the logits by this and sample (0: take the likeliest token)")
	f.IntVar(&o.rule.TopK, "top-k", 0, "sample from this many of the likeliest tokens (0: all)")
	f.Float64Var(&o.rule.TopP, "top-p", 0, "sample from the fewest likeliest tokens whose probabilities add up to this (0: all)")
	f.Uint64Var(&o.seed, "seed", 0, "random seed of sampling; what a prompt gets depends on its number in the data, not on other prompts")
	f.StringArrayVar(&o.steer, "steer", nil, steerHelp)
	f.BoolVar(&o.jsonOut, "json", false, "write JSONL")
	o.data.flags(f)
	o.target.flags(f)
	return c
}

func (o generateOptions) check() error {
	switch err := o.rule.Check(); {
	case o.model == "" || o.data.none():
		return fmt.Errorf("%w: generate needs --model and --data", errUsage)
	case o.most < 1:
		return fmt.Errorf("%w: --max-tokens %d: want at least 1", errUsage, o.most)
	case slices.Contains(o.stop, ""):
		return fmt.Errorf("%w: --stop: an empty text is everywhere", errUsage)
	case err != nil:
		return fmt.Errorf("%w: %w (--temperature, --top-k, --top-p)", errUsage, err)
	}
	return nil
}

func runGenerate(ctx context.Context, o generateOptions, stdin io.Reader, out io.Writer) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	remove, err := o.data.spool(stdin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	s, err := loadSpeaker(ctx, o.model, o.data, o.target)
	if err != nil {
		return err
	}
	settings := generate.Settings{Most: o.most, Ends: s.ends, Stop: o.stop, Rule: o.rule, Seed: o.seed}
	if settings.Taps, settings.Replace, err = steering(o.steer, s.model); err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	defer func() { err = errors.Join(err, w.Flush()) }()
	began, done, added := time.Now(), 0, 0
	progress := newMeter(os.Stderr)
	err = generate.Run(ctx, s.model, s.prompts, s.job.text, settings, func(r generate.Row) error {
		done++
		added += len(r.IDs)
		progress.show(fmt.Sprintf("%d of %d prompts, %.1f tokens/s", done, s.prompts.NumRows(), float64(added)/time.Since(began).Seconds()))
		if r.At+1 == r.Input.NumRows() { // a batch is whole: who reads along sees it
			defer w.Flush() // whose error the next write returns too
		}
		if o.jsonOut {
			return json.NewEncoder(w).Encode(generatedRow(r))
		}
		_, err := fmt.Fprintf(w, "── %d ──\n%s%s\n", r.Number(), r.Input.Text[r.At], r.Text)
		return err
	})
	if err == nil {
		progress.last(fmt.Sprintf("%d prompts, %d tokens in %s", done, added, timeText(time.Since(began))))
	}
	return err
}

// generatedRow is a line of JSONL.
func generatedRow(r generate.Row) map[string]any {
	prompt := r.Input.IDs[r.At]
	mask := make([]int, len(prompt)+len(r.IDs))
	for i := range r.IDs {
		mask[len(prompt)+i] = 1
	}
	row := map[string]any{}
	for _, c := range r.Input.Columns {
		row[c.Name] = c.At(r.At)
	}
	row["row"], row["prompt"], row["completion"], row["finish"] = r.Number(), r.Input.Text[r.At], r.Text, r.Why
	row["input_ids"], row["generated"] = slices.Concat(prompt, r.IDs), mask
	return row
}

// spool copies standard input, if that is the data, to a temporary file, which the returned function removes.
func (d *dataOptions) spool(stdin io.Reader) (remove func() error, err error) {
	at := slices.Index(d.paths, "-")
	if at < 0 {
		return func() error { return nil }, nil
	}
	f, err := os.CreateTemp("", "actfleet-stdin-*.jsonl")
	if err != nil {
		return nil, fmt.Errorf("keep standard input: %w", err)
	}
	_, err = io.Copy(f, stdin)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("keep standard input: %w", err), os.Remove(f.Name()))
	}
	d.paths = slices.Clone(d.paths)
	d.paths[at] = f.Name()
	return func() error { return os.Remove(f.Name()) }, nil
}

// speaker is a model that continues prompts, and these.
type speaker struct {
	job     *job
	model   languageModel
	prompts *dataset.File
	ends    []int32
}

// loadSpeaker loads a model and turns data into its prompts.
func loadSpeaker(ctx context.Context, name string, data dataOptions, target targetOptions) (s speaker, err error) {
	s.job = &job{o: collectOptions{data: data}}
	if s.job.o.model, err = fetchModel(ctx, name); err != nil {
		return s, err
	}
	s.job.text, s.job.noText = model.LoadTokenizer(s.job.o.model)
	if s.job.noText != nil && !errors.Is(s.job.noText, model.ErrNoTokenizer) {
		return s, s.job.noText
	}
	if s.ends, err = model.LoadEnds(s.job.o.model); err != nil {
		return s, err
	}
	loaded, err := target.load(s.job.o.model)
	if err != nil {
		return s, err
	}
	s.model = loaded.model
	if info := s.model.Info(); info.NoHead {
		return s, fmt.Errorf("%w: %s", model.ErrNoHead, info.Name)
	}
	for _, note := range append(s.model.Info().Notes, s.job.text.Notes()...) {
		fmt.Fprintln(os.Stderr, note)
	}
	rule, err := tap.ParseRule("last") // no position is kept
	if err != nil {
		return s, err
	}
	in, err := s.job.tokenize(s.model.Info(), rule)
	for _, note := range s.job.notes {
		fmt.Fprintln(os.Stderr, note)
	}
	s.prompts = in.prompts
	return s, err
}
