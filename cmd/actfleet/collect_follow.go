package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"actfleet/collector"
	"actfleet/collector/model"
	"actfleet/shard/run"
	"actfleet/shard/tap"
)

// documentFlags say how documents become prompts; a run holds only what came out.
var documentFlags = []string{"text", "keep", "drop", "label", "label-map", "long", "empty"}

// has says whether a flag was given on the command line.
func (o collectOptions) has(flag string) bool { return o.given != nil && o.given(flag) }

// checkFollow refuses flags that no run without --data can agree with.
func (o collectOptions) checkFollow() error {
	for _, flag := range documentFlags {
		if o.has(flag) {
			return fmt.Errorf("%w: --%s says how documents become prompts: give --data too", errUsage, flag)
		}
	}
	_, known := computes[o.target.compute]
	if !known && o.target.compute != "auto" {
		return fmt.Errorf("%w: --compute %s: want auto, f32, tf32, bf16 or f16", errUsage, o.target.compute)
	}
	if _, err := tap.ParseRule(o.tokens); err != nil {
		return fmt.Errorf("%w: --tokens: %w", errUsage, err)
	}
	if err := o.data.opt.Check(); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return nil
}

// choice reads --sites for the model in o.model.
func (o collectOptions) choice() (tap.Choice, error) {
	kind, err := model.Type(o.model)
	if err != nil {
		return tap.Choice{}, err
	}
	c, err := tap.ParseChoice(o.sites, kind)
	if err != nil {
		err = fmt.Errorf("%w: --sites: %w", errUsage, err)
	}
	return c, err
}

// agree refuses a plan that a flag given on the command line contradicts, except --sites and --layers, which need the
// model.
func (o collectOptions) agree(p run.Plan) error {
	flags, err := o.compare(p)
	if err != nil {
		return err
	}
	var lines []string
	for _, f := range flags {
		if o.has(f.flag) && f.here != f.run {
			lines = append(lines, fmt.Sprintf("--%s: %v here, %v in the run", f.flag, f.here, f.run))
		}
	}
	if len(lines) > 0 {
		return &run.PlanMismatch{Run: o.out, Lines: lines}
	}
	return nil
}

// planFlag is the value of a flag, and the plan's.
type planFlag struct {
	flag      string
	here, run any
}

// compare lists the flags whose values a plan holds as they were given.
func (o collectOptions) compare(p run.Plan) ([]planFlag, error) {
	rule, err := tap.ParseRule(o.tokens)
	if err != nil {
		return nil, fmt.Errorf("%w: --tokens: %w", errUsage, err)
	}
	opt, compute := o.data.opt, o.target.compute
	if compute == "auto" {
		compute = p.Compute
	}
	corpus := *cmp.Or(p.Data.Corpus, &run.Corpus{})
	here, there := *cmp.Or(o.ring.ring(), &run.Ring{}), *cmp.Or(p.Ring, &run.Ring{})
	return []planFlag{
		{"tokens", rule.String(), p.Tokens}, {"dtype", o.dtype, p.Dtype}, {"compute", compute, p.Compute},
		{"choices", listed(o.choices), listed(p.Choices)}, {"template", opt.Template, p.Template},
		{"limit", int64(opt.Limit), p.Limit}, {"max-tokens", o.maxTokens, p.MaxTokens}, {"unit-prompts", o.unitPrompts, p.UnitPrompts},
		{"context", opt.Context, corpus.Context}, {"overlap", opt.Overlap, corpus.Overlap}, {"pack", opt.Pack, corpus.Pack},
		{"keep-text", o.keepText, p.KeepText}, {"offsets", o.offsets, p.Offsets},
		{"ring", here.Bytes, there.Bytes}, {"readers", listed(slices.Sorted(slices.Values(here.Readers))), listed(there.Readers)},
	}, nil
}

// listed is a list as a flag has it.
func listed(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ",")
}

// agreeOnTaps refuses a plan with other columns than --sites and --layers ask for of its model m, which lies in o.model.
// Where only one of the two is given, the other is the plan's.
func (o collectOptions) agreeOnTaps(p run.Plan, m collector.Model) (err error) {
	var flags []string
	choice := tap.Choice{Sites: slices.Concat(p.Sites, slices.Collect(maps.Keys(p.Same))), Loose: true}
	layers := p.Layers
	if o.has("sites") {
		flags = append(flags, "--sites "+o.sites)
		if choice, err = o.choice(); err != nil {
			return err
		}
	}
	if o.has("layers") {
		flags = append(flags, "--layers "+o.layers)
		if layers, err = tap.ParseLayers(o.layers, m.Info().Layers); err != nil {
			return fmt.Errorf("%w: --layers: %w", errUsage, err)
		}
	}
	if len(flags) == 0 {
		return nil
	}
	ask := collector.Ask{Sites: choice.Sites, Taps: choice.Taps, Loose: choice.Loose, Layers: layers}
	same, err := ask.Made(p, m)
	if err == nil && !same {
		err = &run.PlanMismatch{Run: o.out, Lines: []string{fmt.Sprintf("%s: other columns here than in the run, which has %s at layers %s",
			strings.Join(flags, " "), listed(words(p.Sites)), listed(words(p.Layers)))}}
	}
	return err
}

// words are values as text.
func words[T any](values []T) (out []string) {
	for _, v := range values {
		out = append(out, fmt.Sprint(v))
	}
	return out
}
