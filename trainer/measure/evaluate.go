package measure

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"

	"actfleet/trainer/coder"
	"actfleet/trainer/codes"
	"actfleet/trainer/recipe"
	"actfleet/trainer/recon"
	"actfleet/trainer/sae"
	"actfleet/trainer/stream"
	"actfleet/trainer/vq"
)

// EvalOptions says what Evaluate measures.
type EvalOptions struct {
	All     bool         // every row the coder's filter keeps, as on runs it was not trained on; else the held-out ones
	Rows    int          // at most so many; 0 is all of them
	Model   PatchedModel // runs prompts with the reconstructions patched in; nil: that is not measured
	Prompts int          // how many prompts Model runs

	form     form // of the coder
	ordinary bool // Model runs with reconstructions of ordinary rows alone: the coder never saw the norms of sinks
}

// Evaluate measures a trained coder on runs: recon's metrics; l0 and densities of an autoencoder's latents with the
// rows on which each is most active; perplexity, usage, entropy and commit of a tokenizer; with a PatchedModel what the
// reconstructions leave of the model's loss. The numbers are of ordinary rows, as the training found them or else the
// rows at hand tell, beside the fvu of all. The rows are those of the coder's own column, token rule and conditions.
func Evaluate(ctx context.Context, dir string, runs []stream.Source, o EvalOptions) (e coder.Evaluation, c coder.Card, err error) {
	c, err = coder.ReadCard(dir)
	if err != nil {
		return e, c, err
	}
	cfg, err := recipe.Of(c)
	if err != nil {
		return e, c, fmt.Errorf("%s: %w", dir, err)
	}
	meter, err := openMeter(dir, c)
	if err != nil {
		return e, c, err
	}
	o.All = o.All || cfg.Data.Holdout == 0 || !c.SawAny(planIDs(runs)...)
	s, err := stream.Open(ctx, runs, evalStream(c, cfg, o))
	if err != nil {
		return e, c, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if s.Width() != c.DIn+c.DOut {
		return e, c, fmt.Errorf("%s was trained on vectors of %d, column %s here has %d", dir, c.DIn+c.DOut, c.Column, s.Width())
	}
	if o.form, err = formOf(c); err != nil {
		return e, c, fmt.Errorf("%s: %w", dir, err)
	}
	if o.Rows == 0 {
		o.Rows = int(s.Rows())
	}
	o.ordinary = cfg.Data.Sinks != stream.KeepSinks
	e, err = evaluate(ctx, s, meter, runs, o, cfg.Loop.Micro)
	e.Heldout = !o.All
	for name, why := range e.Metrics.Undefined() {
		if e.Notes == nil {
			e.Notes = map[string]string{}
		}
		if e.Notes[name] == "" {
			e.Notes[name] = why
		}
	}
	return e, c, err
}

// firing is a meter of latents.
type firing interface {
	Firing() recon.Firing
	Active(b int) (latents []int32, values []float32)
}

func evaluate(ctx context.Context, s *stream.Stream, m Meter, runs []stream.Source, o EvalOptions, micro int) (e coder.Evaluation, err error) {
	latents, sparse := m.(firing)
	judged := Judged{Meter: m}
	var best gallery
	chosen := sampled{limit: o.Prompts}
	err = s.Head(ctx, o.Rows, func(b *stream.Batch, before int) error {
		for lo, end := 0, min(b.N, o.Rows-before); lo < end; lo += micro {
			hi := min(lo+micro, end)
			ordinary, err := judged.AddBatch(b, lo, hi)
			if err != nil {
				return err
			}
			if sparse {
				best.add(latents, ordinary.Keys)
			}
			if !o.ordinary {
				ordinary.Keys = b.Keys[lo:hi]
			}
			chosen.add(ordinary.Keys)
		}
		return nil
	})
	if err != nil {
		return e, err
	}
	e.Metrics = judged.Metrics()
	e.PlanIDs = planIDs(runs)
	if sparse {
		h := latents.Firing().Histogram()
		e.Densities = &h
		if e.Latents, err = best.contexts(ctx, runs, latents.Firing()); err != nil {
			return e, err
		}
	}
	if o.Model == nil {
		return e, nil
	}
	lost, notes, err := recovered(ctx, o.Model, m, o.form, chosen)
	maps.Copy(e.Metrics, lost)
	e.Notes = notes
	return e, err
}

func evalStream(c coder.Card, cfg recipe.Recipe, o EvalOptions) stream.Config {
	side := stream.Heldout
	if o.All {
		side = stream.Both
	}
	out := cfg.Stream(c.Column, side)
	out.Sinks, out.Norms = stream.KeepSinks, c.Norms
	return out
}

func planIDs(runs []stream.Source) (ids []string) {
	for _, r := range runs {
		ids = append(ids, r.Plan.ID())
	}
	return ids
}

// Meter measures a coder on rows.
type Meter interface {
	Add(x []float32, n int) error
	Metrics() map[string]float64
	// Sums are what the reconstruction's metrics are of; Aside adds rows and their reconstructions to others.
	Sums() *recon.Sums
	Aside(x []float32, n int, to *recon.Sums) error
}

// Judged measures ordinary rows with a Meter, and sinks aside: its metrics are of ordinary rows, beside fvu_all, of all
// rows together, and sinks, how many of them there were.
type Judged struct {
	Meter
	sinks recon.Sums
	rows  Rows // memory
}

// Rows are some of a batch.
type Rows struct {
	X    []float32
	Keys []stream.Key
}

// AddBatch measures rows lo to hi of a batch and returns the ordinary ones among them, valid until the next call.
func (j *Judged) AddBatch(b *stream.Batch, lo, hi int) (Rows, error) {
	ordinary := Rows{b.X[lo*b.D : hi*b.D], b.Keys[b.From+lo : b.From+hi]}
	if b.Sink != nil && slices.Contains(b.Sink[lo:hi], true) {
		var sinks []float32
		ordinary, sinks = j.part(b, lo, hi)
		if err := j.Aside(sinks, len(sinks)/b.D, &j.sinks); err != nil {
			return ordinary, err
		}
	}
	if len(ordinary.Keys) == 0 {
		return ordinary, nil
	}
	return ordinary, j.Add(ordinary.X, len(ordinary.Keys))
}

func (j *Judged) part(b *stream.Batch, lo, hi int) (ordinary Rows, sinks []float32) {
	j.rows = Rows{j.rows.X[:0], j.rows.Keys[:0]}
	for i := lo; i < hi; i++ {
		if x := b.X[i*b.D : (i+1)*b.D]; b.Sink[i] {
			sinks = append(sinks, x...)
		} else {
			j.rows.X, j.rows.Keys = append(j.rows.X, x...), append(j.rows.Keys, b.Keys[b.From+i])
		}
	}
	return j.rows, sinks
}

// Metrics are the Meter's, and those of all rows.
func (j *Judged) Metrics() map[string]float64 {
	m := j.Meter.Metrics()
	var all recon.Sums
	all.Join(j.Sums())
	all.Join(&j.sinks)
	if v := all.FVU(); !math.IsNaN(v) && !math.IsInf(v, 0) {
		m["fvu_all"] = v
	}
	m["sinks"] = float64(j.sinks.N)
	return m
}

// openMeter loads a trained coder to measure it.
func openMeter(dir string, c coder.Card) (Meter, error) {
	if err := coder.Trained(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, coder.WeightsFile)
	switch c.Kind {
	case coder.SAE:
		m, err := codes.LoadSAE(dir, c)
		return &sae.Eval{Model: m}, err
	case coder.VQ:
		m, err := codes.LoadTokenizer(path, c)
		return &vq.Eval{Coder: m}, err
	}
	return nil, fmt.Errorf("%s holds a coder of kind %q: only sae and vq reconstruct", dir, c.Kind)
}
