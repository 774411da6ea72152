package main

import (
	"context"
	"fmt"
	"strings"

	"actfleet/collector/dataset"
	"actfleet/trainer/stream"
)

// maxPrompts is the size of a run's prompts from which on they are not read to be compared.
const maxPrompts = 512 << 20

// readPrompts reads the prompts of a run, whose texts it may not keep in its shards.
func readPrompts(ctx context.Context, src stream.Source) (*dataset.Input, error) {
	o, err := src.Store.Open(ctx, src.Plan.Data.Input)
	if err != nil {
		return nil, fmt.Errorf("read the prompts of %s: %w", src.Store, err)
	}
	defer o.Close()
	if o.Size() > maxPrompts {
		return nil, fmt.Errorf("read the prompts of %s: %s are too many to compare", src.Store, bytesText(float64(o.Size())))
	}
	return dataset.ReadInput(o, o.Size())
}

// promptText is what a prompt says: its text, or where the data set had ids alone, these as words.
func promptText(in *dataset.Input, row int) string {
	if in.Text[row] != "" {
		return in.Text[row]
	}
	words := make([]string, len(in.IDs[row]))
	for i, id := range in.IDs[row] {
		words[i] = fmt.Sprint(id)
	}
	return strings.Join(words, " ")
}
