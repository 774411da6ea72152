// Package generate continues the prompts of a data set and turns what a model adds into text.
//
// What is added to a prompt depends on the model, the prompt, its number in the data set and the settings; batches are cut
// in the order of the prompts, by their number and length alone.
package generate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"actfleet/collector/dataset"
	"actfleet/collector/model"
	"actfleet/collector/model/sampling"
	"actfleet/shard/tap"
)

// A batch has at most so many prompts, and so many tokens with those to be added; a longer prompt is a batch of its own.
const (
	batchPrompts = 16
	batchTokens  = 16384
)

// Model continues prompts.
type Model interface {
	Generate(ctx context.Context, g model.Generation) ([]model.Continuation, error)
}

// Prompts are read by ranges.
type Prompts interface {
	NumRows() int
	Rows(lo, hi int) (*dataset.Input, error)
}

// Text turns ids into text.
type Text interface {
	Decode(ids []int32) string
	IsSpecial(id int32) bool
}

// Settings say how prompts are continued.
type Settings struct {
	Most int      // tokens added to a prompt at most
	Ends []int32  // ids after which a text is at its end
	Stop []string // texts before which it is
	Rule sampling.Rule
	Seed uint64
	// Replace is called at Taps in every pass, as model.Generation has it.
	Taps    []tap.Tap
	Replace func(i int, v model.View) error
}

// Row is one prompt and what was added to it.
type Row struct {
	Input *dataset.Input // holds the prompt
	At    int            // its place there
	model.Continuation
	Text string // of the new tokens, without special ones and without what begins with one of Settings.Stop
}

// Number is the prompt's number in the data set.
func (r Row) Number() int { return r.Input.First + r.At }

// Run continues all prompts and hands them to emit in their order, a batch at a time. Errors are the model's, emit's, and
// those of reading prompts.
func Run(ctx context.Context, m Model, prompts Prompts, text Text, s Settings, emit func(Row) error) error {
	for lo := 0; lo < prompts.NumRows(); {
		in, err := prompts.Rows(lo, min(lo+batchPrompts, prompts.NumRows()))
		if err != nil {
			return fmt.Errorf("read prompts: %w", err)
		}
		n := fitting(in.IDs, s.Most)
		rows, err := batch(ctx, m, in, n, text, s)
		if err != nil {
			return fmt.Errorf("prompts %d to %d: %w", lo, lo+n-1, err)
		}
		for _, r := range rows {
			if err := emit(r); err != nil {
				return err
			}
		}
		lo += n
	}
	return nil
}

// fitting is how many of the first prompts make a batch.
func fitting(ids [][]int32, most int) int {
	longest := 0
	for n, prompt := range ids {
		longest = max(longest, len(prompt))
		if n > 0 && (n+1)*(longest+most) > batchTokens {
			return n
		}
	}
	return len(ids)
}

func batch(ctx context.Context, m Model, in *dataset.Input, n int, text Text, s Settings) (rows []Row, err error) {
	g := model.Generation{IDs: in.IDs[:n], Most: s.Most, Ends: s.Ends, Rule: s.Rule, Seed: s.Seed, Taps: s.Taps, Replace: s.Replace}
	for i := range n {
		g.Numbers = append(g.Numbers, int64(in.First+i))
	}
	if len(s.Stop) > 0 {
		g.Stop = func(prompt int, added []int32) bool {
			said := Added(text, in.IDs[prompt], added)
			return len(before(said, s.Stop)) < len(said)
		}
	}
	all, err := m.Generate(ctx, g)
	if err != nil {
		return nil, err
	}
	for i, c := range all {
		r := Row{Input: in, At: i, Continuation: c}
		r.Text = strings.ToValidUTF8(before(Added(text, in.IDs[i], c.IDs), s.Stop), "\uFFFD")
		rows = append(rows, r)
	}
	return rows, nil
}

// Added is the text of ids that were added to a prompt, without special tokens. Its last bytes may be a part of a character.
func Added(text Text, prompt, ids []int32) string {
	plain := slices.DeleteFunc(slices.Clone(ids), text.IsSpecial)
	// A tokenizer may drop the space of a text's first token, and the prompt's first is that.
	first := prompt[len(prompt)-1:]
	return strings.TrimPrefix(text.Decode(slices.Concat(first, plain)), text.Decode(first))
}

// before is what a text has before the first of the stops in it.
func before(text string, stops []string) string {
	for _, stop := range stops {
		if at := strings.Index(text, stop); at >= 0 {
			text = text[:at]
		}
	}
	return text
}
