package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"actfleet/analysis/evaluate"
	"actfleet/trainer"
	"actfleet/trainer/probe"
)

// controls are what the chosen probe of a sweep is held against beside the baselines that every sweep has.
type controls struct {
	job   trainer.ProbeJob
	rep   *probe.Report
	table *evaluate.Table
	at    int // of the chosen probe
}

// addClaims adds the baselines that need a choice, and what may be claimed of the chosen probe on the splits that nothing was
// fitted on.
func addClaims(ctx context.Context, job trainer.ProbeJob, rep *probe.Report, t *evaluate.Table) error {
	chosen, ok := t.Chosen()
	if !ok {
		return nil
	}
	c := controls{job: job, rep: rep, table: t, at: slices.IndexFunc(rep.Probes, func(p probe.Probe) bool { return p.ID == chosen.ID })}
	scores := map[string][]float64{}
	for _, b := range rep.Baselines {
		scores[baselineName(b.Name)] = b.Scores
	}
	if err := c.embedding(ctx, scores); err != nil {
		return err
	}
	if err := c.shuffled(ctx); err != nil {
		return err
	}
	reports := []*probe.Report{}
	for s := 1; s < job.Recipe.Probe.Seeds; s++ {
		again, err := job.Refit(ctx, chosen.Kind, rep.Probes[c.at].Column, job.Recipe.Seed+uint64(s))
		if errors.Is(err, probe.ErrLabel) {
			again = nil // its splits by hash lack a class: a seed that supports nothing
		} else if err != nil {
			return fmt.Errorf("seed %d: %w", job.Recipe.Seed+uint64(s), err)
		}
		reports = append(reports, again)
	}
	for _, split := range splitNames(&rep.Rows) {
		if split == probe.Test || rep.Rows.Frozen[split] {
			c.claim(split, scores, reports)
		}
	}
	return nil
}

// embedColumn is what the first block reads.
const embedColumn = "embed_0"

// embedding adds the chosen kind on the embedding, where every run holds it.
func (c *controls) embedding(ctx context.Context, scores map[string][]float64) error {
	for _, run := range c.job.Runs {
		if _, ok := run.Plan.Schema().VectorIndex(embedColumn); !ok {
			return nil
		}
	}
	rep, err := c.job.Refit(ctx, c.rep.Probes[c.at].Kind, embedColumn, c.job.Recipe.Seed)
	if err != nil {
		return fmt.Errorf("the baseline on the embedding: %w", err)
	}
	if rep.Scores[0] == nil {
		return nil
	}
	scores[evaluate.BaselineEmbed] = rep.Scores[0]
	for _, split := range splitNames(&c.rep.Rows) {
		c.table.Baselines = append(c.table.Baselines, evaluate.Scored(evaluate.BaselineEmbed, split, sample(&c.rep.Rows, rep.Scores[0], split), c.options()))
	}
	return nil
}

func (c *controls) options() evaluate.Options {
	return evaluate.Options{Bootstrap: evaluate.Bootstrap{Seed: c.job.Recipe.Seed}}
}

// shuffled adds the chosen probe fitted to labels in a random order.
func (c *controls) shuffled(ctx context.Context) error {
	if c.job.Recipe.Probe.Shuffles == 0 {
		return nil
	}
	p := c.rep.Probes[c.at]
	all, err := c.job.Shuffled(ctx, p.Kind, p.Column, p.L2, c.job.Recipe.Probe.Shuffles)
	if err != nil {
		return fmt.Errorf("labels in a random order: %w", err)
	}
	rows := &c.rep.Rows
	for _, split := range splitNames(rows) {
		if split == probe.Train || split == probe.Val {
			continue
		}
		at, scores := rows.In(split), make([][]float64, len(all))
		for i, s := range all {
			scores[i] = pick(s, at)
		}
		c.table.Baselines = append(c.table.Baselines, evaluate.Shuffled(scores, pick(rows.Label, at), split))
	}
	return nil
}

// claim compares the chosen probe with the strongest baseline of a split, with this seed and the others.
func (c *controls) claim(split string, scores map[string][]float64, reports []*probe.Report) {
	rows, t := &c.rep.Rows, c.table
	best, ok := t.Strongest(split)
	if !ok {
		return
	}
	claim := evaluate.Claim{Probe: t.Probes[c.at].ID, Split: split, Declared: t.Primary != "", Against: best.Name}
	for _, r := range reports {
		claim.Seeds = append(claim.Seeds, c.again(r, split))
	}
	p := t.CellP(split, float64(best.AUROC))
	t.Claims = append(t.Claims, evaluate.NewClaim(claim, sample(rows, c.rep.Scores[c.at], split), sample(rows, scores[best.Name], split), p, c.at, c.options()))
}

// again is the difference to the strongest baseline with another seed, and so with other splits where a hash makes them.
func (c *controls) again(r *probe.Report, split string) evaluate.Value {
	if r == nil || r.Scores[0] == nil || len(r.Rows.In(split)) == 0 {
		return undefined
	}
	r.Rows.Texts = c.rep.Rows.Texts // which splitCheck has filled in, of the same rows
	addTextBaselines(r)
	t := evaluate.Table{Baselines: baselines(r, split, c.options())}
	best, ok := t.Strongest(split)
	if !ok {
		return undefined
	}
	s := sample(&r.Rows, r.Scores[0], split)
	return evaluate.Value(evaluate.AUROC(s.Score, s.Positive)) - best.AUROC
}
