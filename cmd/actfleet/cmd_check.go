package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"actfleet/collector"
	"actfleet/collector/dataset"
	"actfleet/collector/model"
	"actfleet/collector/model/parity"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/tap"
)

func newCheck() *cobra.Command {
	var o parityOptions
	c := &cobra.Command{
		Use:   "check RUN | check --parity MODEL --python VENV",
		Short: "Prove that a run is whole, or that a model's activations equal those of Hugging Face",
		Long: `Reads every byte of a run and compares it with the plan and the manifest: every hash, also that of the prompts,
every row exactly once, every vector finite.
With --parity, runs prompts through a checkpoint here and in Hugging Face transformers (eager attention,
32-bit floats, one prompt at a time) and compares every site of every layer and the last logits: the
largest |difference| must stay below 1e-4 of the RMS (or of the value, where that is larger). If it does not,
transformers computes once more in 64-bit floats, and there our activations must not be further from those than
1e-4, or than twice as far as transformers' own 32-bit ones are. Both models are in memory at once, in fp32
(transformers' in fp64 then), ours on --device and transformers' on the CPU. A .gguf file is read by transformers' own
code, which needs the Python package gguf.
An attention window of more than 96 tokens is tested only if --data has longer prompts.
` + exitCodes,
		Args: usage(func(c *cobra.Command, args []string) error {
			if o.model != "" {
				return cobra.NoArgs(c, args)
			}
			return cobra.ExactArgs(1)(c, args)
		}),
		RunE: func(c *cobra.Command, args []string) error {
			if o.model != "" {
				return runParity(c.Context(), o, c.OutOrStdout())
			}
			return runCheck(c.Context(), args[0], o.jsonOut, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&o.model, "parity", "", "checkpoint to compare with Hugging Face: a directory or a .gguf file")
	f.StringVar(&o.python, "python", "", "with --parity: virtual environment (or its python) with torch, transformers, safetensors")
	f.StringVar(&o.data, "data", "", "with --parity: prompts, as in collect (default: random token ids)")
	f.StringSliceVar(&o.accept, "accept", nil, "with --parity: unknown keys of config.json to ignore")
	f.IntVar(&o.prompts, "prompts", 6, "with --parity: how many prompts")
	f.BoolVar(&o.jsonOut, "json", false, "print the report as JSON")
	o.target.flagsOfOne(f)
	return c
}

func runCheck(ctx context.Context, dir string, jsonOut bool, out io.Writer) error {
	st, plan, err := openRun(ctx, dir)
	if errors.Is(err, run.ErrPlan) {
		err = fmt.Errorf("%w: %w", errDamage, err)
	}
	if err != nil {
		return err
	}
	m := newMeter(os.Stderr)
	began := time.Now()
	report, err := checkWhole(ctx, st, plan, func(done, total int64) {
		m.show(progressLine("checked", done, total, time.Since(began)))
	})
	if err != nil {
		return err
	}
	if jsonOut {
		err = printJSON(out, report)
	} else {
		err = printReport(out, dir, report, time.Since(began))
	}
	switch {
	case err != nil:
		return err
	case len(report.Damage) > 0:
		return fmt.Errorf("%w: %d problems in %s", errDamage, len(report.Damage), dir)
	case len(report.Missing) > 0:
		return fmt.Errorf("%w: %d of %d units are missing in %s; the collect command that made it goes on", errDamage, len(report.Missing), report.Units, dir)
	}
	return nil
}

// checkWhole checks the prompts of a run and then its shards. Where the prompts say which rows must be there, nothing can be
// said about the shards if they are damaged, which is an errDamage then.
func checkWhole(ctx context.Context, st store.Store, plan run.Plan, progress func(done, total int64)) (report run.Report, err error) {
	found, err := collector.CheckInput(ctx, st, plan)
	if err != nil {
		return report, err
	}
	rule, err := tap.ParseRule(plan.Tokens)
	if err == nil && rule.FromData() && found != "" {
		err = fmt.Errorf("%w: %s", errDamage, found)
	}
	if err != nil {
		return report, err
	}
	opt := run.CheckOptions{Progress: progress}
	if opt.Positions, err = collector.Positions(ctx, st, plan); err == nil {
		report, err = run.Check(ctx, st, opt)
	}
	if errors.Is(err, dataset.ErrFormat) { // of a column of the prompts that lists what must be there
		err = fmt.Errorf("%w: %w", errDamage, err)
	}
	if found != "" {
		report.Damage = append(report.Damage, found)
	}
	return report, err
}

func printReport(out io.Writer, run string, r run.Report, took time.Duration) error {
	for _, d := range r.Damage {
		fmt.Fprintln(out, d)
	}
	if len(r.Damage) > 0 || len(r.Missing) > 0 {
		return nil
	}
	_, err := fmt.Fprintf(out, "%s is whole: %d units, %d rows, each exactly once; %s checked in %s (%s/s)\n",
		run, r.Units, r.Rows, bytesText(float64(r.Bytes)), timeText(took), bytesText(float64(r.Bytes)/took.Seconds()))
	printReaders(out, r)
	return err
}

// progressLine is "checked 120 MB of 1.2 GB, 800 MB/s, ETA 1.4s".
func progressLine(verb string, done, total int64, took time.Duration) string {
	rate := float64(done) / took.Seconds()
	line := fmt.Sprintf("%s %s of %s, %s/s", verb, bytesText(float64(done)), bytesText(float64(total)), bytesText(rate))
	if rate > 0 {
		line += ", ETA " + timeText(time.Duration(float64(total-done)/rate*float64(time.Second)))
	}
	return line
}

// errDiffers makes check --parity exit with exitDamage.
var errDiffers = errors.New("not Hugging Face's activations")

// parityOptions are the flags of check --parity.
type parityOptions struct {
	model, python, data string
	accept              []string // keys of config.json that are passed over
	prompts             int
	jsonOut             bool
	target              targetOptions
}

func (o parityOptions) check() error {
	switch {
	case o.python == "":
		return fmt.Errorf("%w: --parity needs --python: a virtual environment with torch, transformers and safetensors", errUsage)
	case o.prompts < 1:
		return fmt.Errorf("%w: --prompts must be positive", errUsage)
	}
	_, _, err := o.target.groups()
	return err
}

func runParity(ctx context.Context, o parityOptions, out io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	python, err := parity.Interpreter(o.python)
	if err != nil {
		return err
	}
	if o.model, err = fetchModel(ctx, o.model); err != nil {
		return err
	}
	began := time.Now()
	m, err := o.target.loadOne(o.model, o.accept...)
	if err != nil {
		return err
	}
	prompts, err := o.read(m.Info())
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s is loaded (%s); now Hugging Face's turn with %d prompts\n", m.Info().Name, timeText(time.Since(began)), len(prompts))
	r, err := parity.Run(ctx, m, o.model, python, prompts)
	if err != nil {
		return err
	}
	if o.jsonOut {
		err = printJSON(out, r)
	} else {
		err = printParity(out, r, time.Since(began))
	}
	if err == nil && !r.Equal {
		err = fmt.Errorf("%w: %s", errDiffers, parityText(r.Worst()))
	}
	return err
}

// read takes the first prompts of --data; without it they are random token ids.
func (o parityOptions) read(info model.Info) ([][]int32, error) {
	if o.data == "" {
		return parity.Prompts(o.prompts, info.Vocab, info.MaxPositions), nil
	}
	text, err := model.LoadTokenizer(o.model)
	if err != nil {
		return nil, err
	}
	set, err := dataset.Open([]string{o.data}, dataset.Options{Limit: o.prompts})
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	_, err = set.Tokenize(&file, text, dataset.Limits{MaxTokens: info.MaxPositions, Vocab: info.Vocab})
	if err = cmp.Or(text.Err(), err); err != nil {
		return nil, err
	}
	in, err := dataset.ReadInput(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		return nil, err
	}
	return in.IDs, nil
}

// printParity prints a line per layer and a column per site, and what 64-bit floats had to decide.
func printParity(out io.Writer, r parity.Report, took time.Duration) error {
	fmt.Fprintf(out, "%s (%s) beside %s of transformers %s, torch %s: %d prompts, %d tokens, %s\nlargest |difference| / RMS; ! is above %.0e of the RMS and of the value\n",
		r.Model, r.Arch, r.Peer.Class, r.Peer.Transformers, r.Peer.Torch, r.Prompts, r.Tokens, timeText(took), r.Tolerance)
	mark := func(c parity.Cell) string {
		if c.Error > r.Tolerance {
			return fmt.Sprintf("%.1e!", c.ByRMS)
		}
		return fmt.Sprintf("%.1e", c.ByRMS)
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprint(w, "layer")
	cells, layers := map[tap.Tap]string{}, 0
	for _, c := range r.Taps {
		cells[tap.Tap{Site: c.Site, Layer: c.Layer}], layers = mark(c), max(layers, c.Layer+1)
	}
	for _, site := range tap.Every {
		fmt.Fprintf(w, "\t%s", site)
	}
	for layer := range layers {
		fmt.Fprintf(w, "\n%d", layer)
		for _, site := range tap.Every {
			fmt.Fprintf(w, "\t%s", cells[tap.Tap{Site: site, Layer: layer}])
		}
	}
	fmt.Fprintf(w, "\nlogits\t%s\n", mark(r.Logits))
	printJudged(w, r)
	if err := w.Flush(); err != nil || !r.Equal {
		return err
	}
	_, err := fmt.Fprintf(out, "equal; the nearest to its limit: %s\n", parityText(r.Worst()))
	return err
}

// printJudged prints how far both sides are from transformers in 64-bit floats wherever these decide.
func printJudged(out io.Writer, r parity.Report) {
	said := false
	for _, c := range append(slices.Clone(r.Taps), r.Logits) {
		if !c.Judged() {
			continue
		}
		if !said {
			fmt.Fprintf(out, "\nWhere marked with !, transformers in fp64 is the judge: largest |difference| from it / max(RMS, |value|)\n\tours\ttransformers in fp32\tallowed to ours\n")
			said = true
		}
		verdict := "equal"
		if !c.Equal() {
			verdict = "too far"
		}
		fmt.Fprintf(out, "%s\t%.1e\t%.1e\t%.1e\t%s\n", c.Name(), c.FP64.Ours, c.FP64.Transformers, c.FP64.Allowed(), verdict)
	}
}

// parityText is what was measured at a cell: "resid of layer 4 is 1.0e-04 from transformers in fp32 (prompt 4), …".
func parityText(c parity.Cell) string {
	text := fmt.Sprintf("%s is %.1e from transformers in fp32 (prompt %d)", c.Name(), c.Error, c.Prompt)
	if !c.Judged() {
		return text + fmt.Sprintf("; allowed is %.1e", parity.Tolerance)
	}
	return text + fmt.Sprintf(" and %.1e from transformers in fp64, which is %.1e from its fp32; allowed is %.1e",
		c.FP64.Ours, c.FP64.Transformers, c.FP64.Allowed())
}
