package model

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"actfleet/collector/model/sampling"
	"actfleet/shard/tap"
)

// ErrLogits says that a model's logits are not finite, so that no token can be chosen.
var ErrLogits = errors.New("the logits are not finite")

// Generation is a batch of prompts to be continued.
type Generation struct {
	IDs   [][]int32 // the prompts' token ids, none empty
	After *Prefix   // what stands before each of IDs; nil: nothing
	Most  int       // tokens added to a prompt at most
	Ends  []int32   // ids after which a prompt is at its end (LoadEnds)
	// Stop, if set, says after each token whether the prompt at a place of IDs is at its end; added are its new tokens.
	Stop func(prompt int, added []int32) bool
	// Rule and Seed say how tokens are chosen. What is drawn for a prompt depends on its number, and not on the others; nil
	// numbers are the places in IDs.
	Rule    sampling.Rule
	Seed    uint64
	Numbers []int64
	// Replace is called at Taps in every pass and may write into v: the network goes on with what v then holds.
	Taps    []tap.Tap
	Replace func(i int, v View) error
}

// Reason is why a continuation has no more tokens.
type Reason string

// The reasons.
const (
	AtEnd    Reason = "end"    // the last token is one of Ends
	Stopped  Reason = "stop"   // Stop said so
	AtLength Reason = "length" // there are Most tokens, or the model has no more positions
)

// Continuation is what a model adds to a prompt.
type Continuation struct {
	IDs []int32 // the new tokens, that of the end among them
	Why Reason
}

// Generate continues prompts, each until it is at its end. With the zero Rule it adds the likeliest token each time. Errors:
// those of Forward, and ErrLogits.
func (m *Model) Generate(ctx context.Context, g Generation) ([]Continuation, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	w := newWriting(m, g)
	defer func() { w.cache.Free() }()
	logits, err := w.forward(ctx, g.IDs)
	for err == nil {
		var next [][]int32
		if next, err = w.choose(logits); err != nil || len(next) == 0 {
			break
		}
		logits, err = w.forward(ctx, next)
	}
	return w.out, err
}

func (g Generation) check() error {
	if g.Most < 1 {
		return fmt.Errorf("generate %d tokens: want at least 1", g.Most)
	}
	if g.Numbers != nil && len(g.Numbers) != len(g.IDs) {
		return fmt.Errorf("%d prompts have %d numbers", len(g.IDs), len(g.Numbers))
	}
	return g.Rule.Check()
}

// writing is one Generate on its way.
type writing struct {
	m        *Model
	g        Generation
	cache    *Cache
	open     []int // places in g.IDs of the prompts that go on, in the order of the cache
	samplers []*sampling.Sampler
	out      []Continuation
}

func newWriting(m *Model, g Generation) *writing {
	w := &writing{m: m, g: g, cache: m.NewCache(), out: make([]Continuation, len(g.IDs))}
	for p := range g.IDs {
		number := int64(p)
		if g.Numbers != nil {
			number = g.Numbers[p]
		}
		w.open = append(w.open, p)
		w.samplers = append(w.samplers, sampling.New(g.Rule, g.Seed, number))
	}
	return w
}

// forward takes ids through the model: the prompts, or the token that each open one goes on by. Where a longer prompt's
// beginning is computed otherwise (longrope, dynamic NTK), the prompts begin anew.
func (w *writing) forward(ctx context.Context, ids [][]int32) ([][]float32, error) {
	r := Request{IDs: ids, Cache: w.cache, Logits: true, Patch: Everywhere(ids, w.g.Taps, w.g.Replace)}
	if w.cache.lengths == nil {
		r.After = w.g.After
	}
	logits, err := w.m.Forward(ctx, r)
	if !errors.Is(err, errOtherwise) {
		return logits, err
	}
	w.cache.Free()
	w.cache = w.m.NewCache()
	r.Cache, r.After, r.IDs = w.cache, nil, nil
	for _, p := range w.open {
		r.IDs = append(r.IDs, slices.Concat(w.g.After.ids(), w.g.IDs[p], w.out[p].IDs))
	}
	r.Patch = Everywhere(r.IDs, w.g.Taps, w.g.Replace)
	return w.m.Forward(ctx, r)
}

// choose adds a token to each open prompt and returns those of the prompts that stay open.
func (w *writing) choose(logits [][]float32) (next [][]int32, err error) {
	var open, rows []int
	for b, p := range w.open {
		if slices.ContainsFunc(logits[b], func(v float32) bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 1) }) {
			return nil, fmt.Errorf("%w: prompt %d, after %d new tokens", ErrLogits, p, len(w.out[p].IDs))
		}
		c := &w.out[p]
		id := w.samplers[p].Next(logits[b])
		c.IDs = append(c.IDs, id)
		if c.Why = w.why(p); c.Why == "" {
			open, rows, next = append(open, p), append(rows, b), append(next, []int32{id})
		}
	}
	if len(open) > 0 && len(open) < len(w.open) {
		err = w.cache.Keep(rows)
	}
	w.open = open
	return next, err
}

// why is the reason for which prompt p has no more tokens; "" while it goes on.
func (w *writing) why(p int) Reason {
	added := w.out[p].IDs
	switch {
	case slices.Contains(w.g.Ends, added[len(added)-1]):
		return AtEnd
	case w.g.Stop != nil && w.g.Stop(p, added):
		return Stopped
	case len(added) == w.g.Most, w.g.After.Len()+len(w.g.IDs[p])+len(added) > w.m.info.MaxPositions:
		return AtLength
	}
	return ""
}
