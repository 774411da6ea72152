package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"actfleet/collector/behave"
	"actfleet/collector/dataset"
	"actfleet/collector/dataset/chat/sandbox"
	"actfleet/collector/model"
	"actfleet/internal/outfile"
	"actfleet/shard/tap"
)

// behaveOptions are the flags of behave.
type behaveOptions struct {
	model                   string
	steer                   []string
	system, shots, instruct []string
	question                string
	choices                 []string
	seed                    uint64
	leastCov, leastAcc      float64
	generate                int
	out                     string
	jsonOut                 bool
	data                    dataOptions
	target                  targetOptions
}

func newBehave() *cobra.Command {
	var o behaveOptions
	w := behave.DefaultWording()
	c := &cobra.Command{
		Use:   "behave --model DIR --data FILES",
		Short: "Ask a model whether statements are true, when told to be truthful and when told to lie",
		Long: `Asks a model about statements with a label (1: true, 0: false), once told to answer truthfully and once told to lie, in every
combination of the factors --system × --shots × --instruct. For each it prints what docs/behaviour.md defines: balance, p_no,
p_yes, choice_cov, and the shares acc, lie_acc and known_lie_acc with their 95 % intervals. With --steer the steered model is a
second variant, compared with the base by McNemar's test on the same prompts.
` + exitCodes,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return runBehave(c.Context(), o, c.OutOrStdout()) },
	}
	f := c.Flags()
	f.StringVar(&o.model, "model", "", "directory with config.json, tokenizer.json and *.safetensors, a .gguf file, or ORG/NAME[@REVISION] on the hub")
	f.StringArrayVar(&o.steer, "steer", nil, steerHelp)
	f.StringSliceVar(&o.system, "system", []string{"off", "on"}, "cells without and with a system message that says how to answer")
	f.StringSliceVar(&o.shots, "shots", []string{"0", "4"}, "cells with this many demonstrations, true and false alternating; their answers are flipped when the model is told to lie")
	f.StringSliceVar(&o.instruct, "instruct", []string{"off", "on"}, "cells without and with an instruction before the question")
	f.StringVar(&o.question, "question", w.Question, "the question, with {text} in it")
	f.StringSliceVar(&o.choices, "choices", []string{w.No, w.Yes}, "the two answers; the one that means no comes first")
	f.Uint64Var(&o.seed, "seed", 0, "random seed of the choice of demonstrations")
	f.Float64Var(&o.leastCov, "min-cov", 0.1, fmt.Sprintf("stop a cell if the two choices together have less probability than this, on average over its first %d statements", behave.GateRows))
	f.Float64Var(&o.leastAcc, "min-acc", 0, "do not tell the model to lie in a cell where a smaller share of its truthful answers is correct")
	f.IntVar(&o.generate, "generate", 0, "also generate this many tokens after each prompt, and keep them in --out")
	f.StringVar(&o.out, "out", "", "Parquet file for every prompt and answer")
	f.BoolVar(&o.jsonOut, "json", false, "print the table as JSON")
	o.data.flags(f)
	o.target.flags(f)
	return c
}

func (o behaveOptions) check() error {
	switch t := o.data.opt.Template; {
	case o.model == "" || o.data.none():
		return fmt.Errorf("%w: behave needs --model and --data", errUsage)
	case t != "none" && t != dataset.ChatTemplate:
		return fmt.Errorf("%w: --template %s: behave asks in plain lines (none) or in the checkpoint's own form (chat)", errUsage, t)
	case len(o.choices) != 2:
		return fmt.Errorf("%w: --choices: want two words, the one that means no first", errUsage)
	case o.generate < 0 || !(o.leastCov >= 0 && o.leastCov < 1) || !(o.leastAcc >= 0 && o.leastAcc <= 1):
		return fmt.Errorf("%w: --generate, --min-cov and --min-acc: want 0 or more, the last two at most 1", errUsage)
	}
	return nil
}

// place is where the file of --out will lie, "" without: nothing is there yet, and a file may be made there.
func (o behaveOptions) place() (string, error) {
	if o.out == "" {
		return "", nil
	}
	at, err := outfile.Place(o.out, func([]byte) bool { return false }, false)
	if err == nil {
		_, err = os.Stat(filepath.Dir(at))
	}
	if err != nil {
		return "", fmt.Errorf("--out: %w", err)
	}
	return at, nil
}

// cells are the combinations of the factors.
func (o behaveOptions) cells() ([]behave.Cell, error) {
	system, err := switches("--system", o.system)
	if err != nil {
		return nil, err
	}
	instruct, err := switches("--instruct", o.instruct)
	if err != nil {
		return nil, err
	}
	var shots []int
	for _, text := range o.shots {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > 1000 || slices.Contains(shots, n) {
			return nil, fmt.Errorf("%w: --shots %s: want numbers of demonstrations, each once", errUsage, text)
		}
		shots = append(shots, n)
	}
	if len(shots) == 0 {
		return nil, fmt.Errorf("%w: --shots: want at least one number", errUsage)
	}
	return behave.Cells(system, shots, instruct), nil
}

// switches reads a list of off and on.
func switches(flag string, texts []string) (out []bool, err error) {
	for _, text := range texts {
		on := text == "on"
		if !on && text != "off" || slices.Contains(out, on) {
			return nil, fmt.Errorf("%w: %s %s: want off, on or off,on", errUsage, flag, text)
		}
		out = append(out, on)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s: want off, on or off,on", errUsage, flag)
	}
	return out, nil
}

func runBehave(ctx context.Context, o behaveOptions, out io.Writer) (err error) {
	cells, err := o.cells()
	if err = errors.Join(o.check(), err); err != nil {
		return err
	}
	if o.out, err = o.place(); err != nil {
		return err
	}
	asChat := o.data.opt.Template == dataset.ChatTemplate
	o.data.opt.Template = "none" // the statements themselves
	s, err := loadSpeaker(ctx, o.model, o.data, o.target)
	if err != nil {
		return err
	}
	statements, err := statementsOf(s.prompts)
	if err != nil {
		return err
	}
	variants, err := o.variants(s.model)
	if err != nil {
		return err
	}
	ask := behave.Ask{Cells: cells, Wording: behave.DefaultWording(), Text: s.job.text, Seed: o.seed, LeastCoverage: o.leastCov, LeastAccuracy: o.leastAcc,
		Generate: o.generate, Ends: s.ends}
	ask.Wording.Question, ask.Wording.No, ask.Wording.Yes = o.question, o.choices[0], o.choices[1]
	if asChat {
		close, err := s.chat(&ask.Wording)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, close()) }()
	}
	progress := newMeter(os.Stderr)
	ask.Progress = func(done, of int) { progress.show(fmt.Sprintf("%d of %d prompts", done, of)) }
	results, err := behave.Run(ctx, variants, statements, ask)
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := writeAnswers(o.out, results); err != nil {
			return err
		}
	}
	return printBehaviour(out, ask.Wording.Name, results, statements, o.jsonOut)
}

// variants are the base model and, with --steer, the changed one.
func (o behaveOptions) variants(m languageModel) ([]behave.Variant, error) {
	all := []behave.Variant{{Name: "base", Model: m}}
	taps, replace, err := steering(o.steer, m)
	if replace != nil {
		all = append(all, behave.Variant{Name: "steered", Model: steered{m, taps, replace}})
	}
	return all, err
}

// steered is a model with changes in what it computes.
type steered struct {
	languageModel
	taps    []tap.Tap
	replace func(i int, v model.View) error
}

// Forward is the model's, with the changes.
func (s steered) Forward(ctx context.Context, r model.Request) ([][]float32, error) {
	r.Patch = model.Everywhere(r.IDs, s.taps, s.replace)
	return s.languageModel.Forward(ctx, r)
}

// Prefix is the model's, with the changes.
func (s steered) Prefix(ctx context.Context, r model.Request) (*model.Prefix, error) {
	r.Patch = model.Everywhere(r.IDs, s.taps, s.replace)
	return s.languageModel.Prefix(ctx, r)
}

// Generate is the model's, with the changes.
func (s steered) Generate(ctx context.Context, g model.Generation) ([]model.Continuation, error) {
	g.Taps, g.Replace = s.taps, s.replace
	return s.languageModel.Generate(ctx, g)
}

// chat makes a wording's conversations the checkpoint's own; the returned function ends its renderer.
func (s speaker) chat(w *behave.Wording) (close func() error, err error) {
	opt, limits := s.job.o.data.opt, dataset.Limits{}
	t, err := s.job.chat(&opt, &limits)
	if err == nil && t == nil {
		err = fmt.Errorf("--template chat: %s has no chat template", s.job.o.model)
	}
	if err != nil {
		return nil, err
	}
	renderer := sandbox.New(*t, chatWorker)
	w.Name, w.Chat = dataset.ChatTemplate, renderer.Render
	return renderer.Close, nil
}

// statementsOf are the prompts with a label, 0 or 1.
func statementsOf(prompts *dataset.File) (out []behave.Statement, err error) {
	in, err := prompts.Rows(0, prompts.NumRows())
	if err != nil {
		return nil, err
	}
	label, labelled := in.Column("label")
	group, grouped := in.Column("group")
	if !labelled {
		return nil, errors.New("the data have no column label; --label names the one that says which statements are true, --label-map its values")
	}
	for i := range in.NumRows() {
		s := behave.Statement{Row: in.First + i, Text: in.Text[i]}
		switch v := label.At(i).(type) {
		case bool:
			s.Label = v
		case int64:
			if s.Label = v == 1; v != 0 && v != 1 {
				return nil, fmt.Errorf("row %d: label %d: want 0 or 1", s.Row, v)
			}
		default:
			return nil, fmt.Errorf("row %d: label %v: want 0 or 1 (--label-map false=0,true=1)", s.Row, v)
		}
		if grouped {
			s.Group = fmt.Sprint(group.At(i))
		}
		if s.Text == "" {
			return nil, fmt.Errorf("row %d is token ids without a text, which no question can hold", s.Row)
		}
		out = append(out, s)
	}
	return out, nil
}

// printBehaviour prints a line for each variant and cell.
func printBehaviour(out io.Writer, template string, results []behave.Result, statements []behave.Statement, asJSON bool) error {
	lines := behaviourLines(results, statements)
	if asJSON {
		return printJSON(out, map[string]any{"template": template, "cells": lines})
	}
	return behaviourTable(out, lines)
}
