package main

import (
	"context"
	"fmt"
	"io"

	"actfleet/analysis/evaluate"
	"actfleet/collector/dataset"
	"actfleet/trainer/probe"
	"actfleet/trainer/stream"
)

// splitCheck looks for leaks before anything is fitted, and says what a user must know about the splits.
type splitCheck struct {
	runs []stream.Source
	near float64 // share of a split that may nearly stand in another
	auto bool    // no column was named for the groups
	warn io.Writer

	found []evaluate.NearLeak
}

// check refuses splits that leak.
func (c *splitCheck) check(ctx context.Context, rows *probe.Rows) error {
	c.say(rows)
	if err := c.addTexts(ctx, rows); err != nil {
		fmt.Fprintf(c.warn, "warning: repeated and similar prompts are not looked for: %v\n", err)
	}
	splits := splitsOf(rows, c.runs)
	err := evaluate.CheckSplits(splits...)
	if err == nil {
		c.found, err = evaluate.CheckNear(c.near, splits...)
	}
	return err
}

const noGroups = `warning: no column "group" in every run, so that each prompt is its own group: forms of one fact may lie ` +
	`in two splits, and intervals are too narrow if they do; give the data a column "group", name another with ` +
	`--set group=COLUMN, or say --set group=row if prompts have nothing to do with each other`

// say tells what the rows were taken for.
func (c *splitCheck) say(rows *probe.Rows) {
	if rows.LabelsSaid != "" {
		fmt.Fprintln(c.warn, "label:", rows.LabelsSaid)
	}
	if c.auto && rows.GroupBy == probe.Prompt {
		fmt.Fprintln(c.warn, noGroups)
	}
}

// addTexts fills in what the shards do not keep, from the prompts that were collected.
func (c *splitCheck) addTexts(ctx context.Context, rows *probe.Rows) error {
	texts := make([]string, rows.Len())
	copy(texts, rows.Texts)
	missing := make([]map[int][]int, len(c.runs)) // of each run, by the prompt's row
	for i, run := range rows.Run {
		if texts[i] != "" {
			continue
		}
		if missing[run] == nil {
			missing[run] = map[int][]int{}
		}
		row := int(rows.Row[i])
		missing[run][row] = append(missing[run][row], i)
	}
	for run, of := range missing {
		if of == nil {
			continue
		}
		if err := eachPrompt(ctx, c.runs[run], func(in *dataset.Input) { fillTexts(texts, of, in) }); err != nil {
			return err
		}
	}
	rows.Texts = texts
	return nil
}

// fillTexts takes the texts of some prompts for the rows that lack them.
func fillTexts(texts []string, missing map[int][]int, in *dataset.Input) {
	for k := range in.IDs {
		at := missing[in.First+k]
		if len(at) == 0 {
			continue
		}
		text := promptText(in, k)
		for _, i := range at {
			texts[i] = text
		}
	}
}
