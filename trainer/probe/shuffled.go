package probe

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"actfleet/trainer/stream"
)

// Shuffled fits the first kind on the first column n times, each time to the labels of the train rows and those of the val
// rows in another order, and gives the scores of all rows of those that converged: what the rows give a probe that has
// nothing to find. The order of the rows is Fit's.
func Shuffled(ctx context.Context, runs []stream.Source, c Config, n int) (scores [][]float64, err error) {
	d, err := readRows(ctx, runs, &c)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	defer func() { err = errors.Join(err, d.close()) }()
	x, width, err := d.vectors(c.Columns[0])
	if err != nil {
		return nil, fmt.Errorf("probe %s: %w", c.Columns[0], err)
	}
	random := rand.New(rand.NewPCG(c.Seed, 0x73687566)) // its own stream: "shuf"
	for range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for _, split := range []string{Train, Val} {
			at := d.In(split)
			random.Shuffle(len(at), func(i, j int) {
				d.Label[at[i]], d.Label[at[j]] = d.Label[at[j]], d.Label[at[i]]
			})
		}
		if q, s := newProblem(&d.Rows, x, width, c).fit(c.Kinds[0]); q.Converged {
			scores = append(scores, s)
		}
	}
	return scores, nil
}
