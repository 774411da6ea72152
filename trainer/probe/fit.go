package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"actfleet/trainer/stream"
)

// Config says what is fitted.
type Config struct {
	Columns  []string  // vector columns, one probe of every kind for each
	Kinds    []string  // of Kinds
	L2       []float64 // penalties to choose among
	MaxIter  int
	Seed     uint64
	Balanced bool          // both classes weigh alike, in the losses of a margin
	Hidden   int           // units of an MLP
	K        int           // features of a Sparse
	Position string        // Last, Mean or Max; "" is Last
	Filter   stream.Filter // Tokens "last" keeps one row a prompt
	Scalars  Columns

	Frozen []string // names of the splits that the last runs are, one each: nothing is fitted on their rows

	LabelMap []string // what labels mean, see ParseLabelMap

	Check func(rows *Rows) error // when set, may refuse the rows before anything is fitted

	// Each, when set, is called once a column with the vectors of all rows [N, D], for
	// baselines that need them. Calls do not overlap; x is invalid afterwards.
	Each func(column string, x []float32, d int, rows *Rows) error
}

// Baseline is what the rows give without a probe: a score, the probability of label
// 1, for every row. It is fitted on the train rows.
type Baseline struct {
	Name     string
	Scores   []float64
	Coverage []float64 // of the model's own answer, where it is known: the probability of both choices together
}

// Report is the outcome of Fit. Scores[i] belongs to Probes[i] and is nil when that
// did not converge.
type Report struct {
	Rows      Rows
	Probes    []Probe
	Scores    [][]float64
	Baselines []Baseline
}

// Fit fits every kind of probe on every column.
func Fit(ctx context.Context, runs []stream.Source, c Config) (rep *Report, err error) {
	d, err := readRows(ctx, runs, &c)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if c.Check != nil {
		if err := c.Check(&d.Rows); err != nil {
			return nil, fmt.Errorf("probe: %w", err)
		}
	}
	rep = &Report{Rows: d.Rows, Baselines: d.baselines()}
	fits, err := d.fitAll(ctx, c)
	for _, f := range fits {
		rep.Probes, rep.Scores = append(rep.Probes, f.probes...), append(rep.Scores, f.scores...)
	}
	return rep, err
}

// readRows is the rows with their labels, splits and pairs, all checked, before any vector is read.
func readRows(ctx context.Context, runs []stream.Source, c *Config) (d *data, err error) {
	if len(runs) <= len(c.Frozen) || len(c.Columns) == 0 || len(c.Kinds) == 0 {
		return nil, errors.New("no runs, columns or kinds")
	}
	for _, kind := range c.Kinds {
		if err := CheckKind(kind); err != nil {
			return nil, err
		}
	}
	c.Scalars.needPairs, c.Scalars.needPolarity = needs(c.Kinds)
	fitted := len(runs) - len(c.Frozen)
	pools := c.Position == Mean || c.Position == Max
	if pools && c.Filter.Tokens == Last {
		c.Filter.Tokens = "all"
	}
	if d, err = collect(ctx, runs, fitted, c.Filter, c.Scalars); err != nil {
		return nil, err
	}
	if pools {
		d.position = c.Position
		d.pool()
	}
	for _, step := range []func() error{
		func() error { return d.setLabels(c.Scalars.Label, c.LabelMap) },
		d.setPolarity,
		func() error { return d.assignSplits(c.Seed, c.Frozen, fitted) },
		d.checkPairs,
	} {
		if err := step(); err != nil {
			return nil, errors.Join(err, d.close())
		}
	}
	return d, nil
}

// tapFit is the probes of one column.
type tapFit struct {
	probes []Probe
	scores [][]float64
}

// fitAll fits columns side by side, as many as there are cores.
func (d *data) fitAll(ctx context.Context, c Config) ([]tapFit, error) {
	out := make([]tapFit, len(c.Columns))
	each := make(chan struct{}, 1)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, column := range c.Columns {
		g.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			out[i], err = d.fitColumn(column, c, each)
			return err
		})
	}
	return out, g.Wait()
}

func (d *data) fitColumn(column string, c Config, each chan struct{}) (t tapFit, err error) {
	x, width, err := d.vectors(column)
	if err != nil {
		return t, fmt.Errorf("probe %s: %w", column, err)
	}
	if i := nonFinite(x); i >= 0 {
		r := i / width
		return t, fmt.Errorf("probe %s: the vector of %s at pos %d is not finite; collect that column with --dtype f32", column, d.name(r), d.Pos[r])
	}
	problem := newProblem(&d.Rows, x, width, c)
	for _, kind := range c.Kinds {
		p, scores := problem.fit(kind)
		p.ID, p.Column, p.D = kind+"_"+column, column, width
		t.probes, t.scores = append(t.probes, p), append(t.scores, scores)
	}
	if c.Each != nil {
		each <- struct{}{}
		defer func() { <-each }()
		return t, c.Each(column, x, width, &d.Rows)
	}
	return t, nil
}

func nonFinite(x []float32) int {
	return slices.IndexFunc(x, func(v float32) bool { return v-v != 0 })
}

// Best is the index of the converged probe with the least loss on val, -1 if none
// converged.
func (r *Report) Best() int {
	best := -1
	for i, p := range r.Probes {
		if p.Converged && (best < 0 || p.ValLoss < r.Probes[best].ValLoss) {
			best = i
		}
	}
	return best
}

// baselines are scores that use no activation: the share of label 1 among the train
// rows of the same prompt length, of the same last token, and the model's own answer
// where the run has it. (The majority and random directions are evaluate's.)
func (d *data) baselines() []Baseline {
	out := []Baseline{
		{Name: "n_tokens", Scores: d.rates(d.NTokens)},
		{Name: "token_id", Scores: d.rates(d.TokenID)},
	}
	for _, name := range slices.Sorted(maps.Keys(d.Answers)) {
		out = append(out, Baseline{Name: name, Scores: d.Answers[name], Coverage: d.Coverage[name]})
	}
	return out
}

// rates is the share of label 1 among the train rows with the same key, drawn
// towards the overall share by two rows' worth.
func (d *data) rates(key []int32) []float64 {
	count, ones := map[int32]float64{}, map[int32]float64{}
	var total, positive float64
	for _, i := range d.In(Train) {
		count[key[i]]++
		total++
		if d.Label[i] {
			ones[key[i]]++
			positive++
		}
	}
	const prior = 2
	out := make([]float64, len(key))
	for i, k := range key {
		out[i] = (ones[k] + prior*positive/total) / (count[k] + prior)
	}
	return out
}
