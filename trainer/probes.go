package trainer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"actfleet/trainer/coder"
	"actfleet/trainer/folder"
	"actfleet/trainer/probe"
	"actfleet/trainer/recipe"
	"actfleet/trainer/stream"
)

// ProbeJob is one sweep of probes.
type ProbeJob struct {
	Dir     string // the coder's folder; made if need be
	Runs    []stream.Source
	Frozen  []string // names of the splits that the last of Runs are, one each: nothing is fitted on them
	Columns []string
	Recipe  recipe.Recipe // of kind Probe
	Program string

	Check func(rows *probe.Rows) error // when set, may refuse the rows before anything is fitted or written

	// Each, when set, is called once a column with the vectors of all rows [N, D]: for
	// baselines that need them. Calls do not overlap.
	Each func(column string, x []float32, d int, rows *probe.Rows) error
}

// FitProbes fits probes and leaves cfg.json and coder.safetensors in the folder.
// Measuring their scores, and results.json, are the caller's.
func FitProbes(ctx context.Context, j ProbeJob) (*probe.Report, coder.Card, error) {
	if err := j.Recipe.Validate(); err != nil {
		return nil, coder.Card{}, err
	}
	if err := stream.NoRing(j.Runs); err != nil {
		return nil, coder.Card{}, fmt.Errorf("probe: %w", err)
	}
	release, err := folder.Claim(ctx, j.Dir, 0)
	if err != nil {
		return nil, coder.Card{}, fmt.Errorf("probe: %w", err)
	}
	defer release()
	if _, err := os.Stat(filepath.Join(j.Dir, coder.CfgFile)); !errors.Is(err, fs.ErrNotExist) {
		return nil, coder.Card{}, errors.Join(err, fmt.Errorf("%s: %w; choose another --out", j.Dir, ErrExists))
	}
	rep, err := probe.Fit(ctx, j.Runs, j.config())
	if err != nil {
		return nil, coder.Card{}, err
	}
	c := j.coder(rep)
	if err := rep.Save(filepath.Join(j.Dir, coder.WeightsFile)); err != nil {
		return nil, c, err
	}
	return rep, c, coder.WriteCard(j.Dir, c)
}

// Refit fits one kind on one column of the same rows with another seed, and writes nothing: for controls.
func (j ProbeJob) Refit(ctx context.Context, kind, column string, seed uint64) (*probe.Report, error) {
	c := j.control(kind, column)
	c.Seed = seed
	return probe.Fit(ctx, j.Runs, c)
}

// Shuffled is the scores of n fits of one kind on one column, with one penalty, to labels in a random order.
func (j ProbeJob) Shuffled(ctx context.Context, kind, column string, l2 float64, n int) ([][]float64, error) {
	c := j.control(kind, column)
	c.L2 = []float64{l2}
	return probe.Shuffled(ctx, j.Runs, c, n)
}

func (j ProbeJob) control(kind, column string) probe.Config {
	c := j.config()
	c.Kinds, c.Columns, c.Check, c.Each = []string{kind}, []string{column}, nil, nil
	return c
}

func (j ProbeJob) config() probe.Config {
	c := j.Recipe
	return probe.Config{Columns: j.Columns, Frozen: j.Frozen, Kinds: c.Probe.Kinds, L2: c.Probe.L2, MaxIter: c.Probe.MaxIter, Seed: c.Seed,
		Balanced: c.Probe.Balanced, Hidden: c.Probe.Hidden, K: c.Probe.K, Position: c.Probe.Position,
		Filter:   stream.Filter{Tokens: c.Data.Tokens, Where: c.Data.Where},
		Scalars:  probe.Columns{Label: c.Probe.Label, Group: c.Probe.Group, Split: c.Probe.Split, Pair: c.Probe.Pair, Polarity: c.Probe.Polarity},
		LabelMap: c.Probe.LabelMap, Check: j.Check, Each: j.Each}
}

func (j ProbeJob) coder(rep *probe.Report) coder.Card {
	first := ""
	if len(j.Columns) == 1 {
		first = j.Columns[0]
	}
	j.Recipe.Probe.Group, j.Recipe.Probe.Split = rep.Rows.GroupBy, rep.Rows.SplitBy
	c := j.Recipe.Card(first, j.Runs[:len(j.Runs)-len(j.Frozen)], []int{rep.Probes[0].D}, j.Program)
	c.Arch, c.Width = "linear", len(rep.Probes)
	for _, p := range rep.Probes {
		c.Probes = append(c.Probes, p.Fit)
	}
	return c
}
