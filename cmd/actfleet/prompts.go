package main

import (
	"context"
	"fmt"
	"strings"

	"actfleet/collector/dataset"
	"actfleet/trainer/stream"
)

// promptsAtOnce is how many prompts are in memory while they are read one after the other.
const promptsAtOnce = 4096

// eachPrompt reads the prompts of a run, whose texts it may not keep in its shards, some at a time in their order.
func eachPrompt(ctx context.Context, src stream.Source, use func(in *dataset.Input)) error {
	o, err := src.Store.Open(ctx, src.Plan.Data.Input)
	if err != nil {
		return fmt.Errorf("read the prompts of %s: %w", src.Store, err)
	}
	defer o.Close()
	f, err := dataset.OpenInput(o, o.Size())
	if err != nil {
		return fmt.Errorf("read the prompts of %s: %w", src.Store, err)
	}
	for lo := 0; lo < f.NumRows() && ctx.Err() == nil; lo += promptsAtOnce {
		in, err := f.Rows(lo, min(lo+promptsAtOnce, f.NumRows()))
		if err != nil {
			return fmt.Errorf("read the prompts of %s: %w", src.Store, err)
		}
		use(in)
	}
	return ctx.Err()
}

// promptText is what the i-th of some prompts says: its text, or where the data set had ids alone, these as words.
func promptText(in *dataset.Input, i int) string {
	if in.Text[i] != "" {
		return strings.Clone(in.Text[i]) // the others may go
	}
	words := make([]string, len(in.IDs[i]))
	for k, id := range in.IDs[i] {
		words[k] = fmt.Sprint(id)
	}
	return strings.Join(words, " ")
}
