package behave

import (
	"context"
	"fmt"
	"math"
	"slices"

	"actfleet/collector"
	"actfleet/collector/model"
)

// batchPrompts is how many prompts go through the model together.
const batchPrompts = 16

// choices are the answers that are weighed, no first: by single tokens, or by several.
type choices struct {
	single [2][]int32
	tokens [2][]int32 // nil where both choices have single tokens
}

func (w Wording) choices(text Text) (c choices, err error) {
	if w.No == "" || w.Yes == "" || w.No == w.Yes {
		return c, fmt.Errorf("%w: the choices %q and %q must be two different words", errWording, w.No, w.Yes)
	}
	encode := func(s string) []int32 { return text.Encode(s, false) }
	for i, word := range []string{w.No, w.Yes} {
		c.single[i] = collector.ChoiceIDs(word, encode)
	}
	if len(c.single[0]) > 0 && len(c.single[1]) > 0 {
		return c, nil
	}
	for i, word := range []string{w.No, w.Yes} {
		if w.Chat == nil {
			word = " " + word
		}
		if c.tokens[i] = encode(word); len(c.tokens[i]) == 0 {
			return c, fmt.Errorf("%w: the choice %q has no tokens", errWording, word)
		}
	}
	return c, nil
}

// batch asks about some statements.
func (x *experiment) batch(ctx context.Context, v Variant, q question, some []Statement) (out []Answer, err error) {
	ids := make([][]int32, len(some))
	for i, s := range some {
		a := Answer{Variant: v.Name, Cell: q.cell, Lie: q.lie, Statement: s, Template: q.ask.Name}
		if a.Prompt, err = q.text(s); err != nil {
			return nil, err
		}
		ids[i] = x.ask.Text.Encode(a.Prompt, x.ask.Wording.Chat == nil) // a chat template writes its special tokens itself
		a.Tokens = len(ids[i])
		out = append(out, a)
	}
	r, err := x.begin(ctx, v.Model, ids)
	if err != nil {
		return nil, err
	}
	defer r.After.Free()
	if x.choices.tokens[0] == nil {
		err = x.bySingle(ctx, v.Model, r, out)
	} else {
		err = x.byTokens(ctx, v.Model, r, out)
	}
	if err != nil {
		return nil, err
	}
	texts, err := x.generated(ctx, v, r.IDs, r.After)
	for i := range out {
		out[i].Generated = texts[i]
	}
	return out, err
}

// leastPrefix is how many tokens prompts must share for these to be computed once.
const leastPrefix = 8

// begin takes what all prompts begin with through the model; the request is for what follows.
func (x *experiment) begin(ctx context.Context, m Model, ids [][]int32) (r model.Request, err error) {
	shared := len(ids[0]) - 1
	limit := m.Info().PrefixLimit
	for _, prompt := range ids {
		n := 0
		for n < min(shared, len(prompt)-1) && prompt[n] == ids[0][n] {
			n++
		}
		if shared = n; limit > 0 && len(prompt) > limit {
			shared = 0
		}
	}
	if shared < leastPrefix {
		return model.Request{IDs: ids, Logits: true}, nil
	}
	r.After, err = m.Prefix(ctx, model.Request{IDs: [][]int32{ids[0][:shared]}, Logits: true})
	for _, prompt := range ids {
		r.IDs = append(r.IDs, prompt[shared:])
	}
	r.Logits = true
	return r, err
}

// bySingle weighs choices by the probabilities of their single tokens to come next.
func (x *experiment) bySingle(ctx context.Context, m Model, r model.Request, out []Answer) error {
	i := 0
	r.Logits = false
	r.Next = &model.Next{Sets: x.choices.single[:], Emit: func(c model.Chances) {
		no, yes := c.Sets[0], c.Sets[1]
		out[i].PYes = yes / (no + yes + 1e-12)
		out[i].PNo, out[i].Coverage = 1-out[i].PYes, no+yes
		i++
	}}
	_, err := m.Forward(ctx, r)
	return err
}

// byTokens weighs choices by the log-likelihoods of their tokens: p_yes is the softmax of both, each divided by its number
// of tokens, and their coverage the probability of either whole.
func (x *experiment) byTokens(ctx context.Context, m Model, r model.Request, out []Answer) error {
	r.Cache = m.NewCache()
	defer r.Cache.Free()
	first, err := m.Forward(ctx, r)
	if err != nil {
		return err
	}
	var sums [2][]float64
	for c, tokens := range x.choices.tokens {
		if sums[c], err = x.likelihood(ctx, m, r.Cache, first, tokens); err != nil {
			return err
		}
	}
	for i := range out {
		no, yes := sums[0][i], sums[1][i]
		apart := no/float64(len(x.choices.tokens[0])) - yes/float64(len(x.choices.tokens[1]))
		out[i].PYes = 1 / (1 + math.Exp(apart))
		out[i].PNo, out[i].Coverage = 1-out[i].PYes, math.Exp(no)+math.Exp(yes)
	}
	return nil
}

// likelihood is log p of tokens after each prompt of a cache, which then is as it was; first are the logits after the prompts.
func (x *experiment) likelihood(ctx context.Context, m Model, c *model.Cache, first [][]float32, tokens []int32) (sums []float64, err error) {
	sums = make([]float64, len(first))
	logits := first
	for i, id := range tokens {
		for b := range sums {
			sums[b] += logOf(logits[b], id)
		}
		if i == len(tokens)-1 {
			break
		}
		r := model.Request{Cache: c, Logits: true, IDs: make([][]int32, len(sums))}
		for b := range r.IDs {
			r.IDs[b] = tokens[i : i+1]
		}
		if logits, err = m.Forward(ctx, r); err != nil {
			return nil, err
		}
	}
	return sums, c.Forget(len(tokens) - 1)
}

// logOf is log p of a token by the logits.
func logOf(logits []float32, id int32) float64 {
	top := float64(slices.Max(logits))
	var total float64
	for _, v := range logits {
		total += math.Exp(float64(v) - top)
	}
	return float64(logits[id]) - top - math.Log(total)
}
