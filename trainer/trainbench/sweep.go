package trainbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"actfleet/trainer"
	"actfleet/trainer/coder"
	"actfleet/trainer/recipe"
	"actfleet/trainer/stream"
)

// Sweep measures the seconds in which n TopK autoencoders of one column are trained from one reading, from
// opening the run to the written weights, and the sum of the seconds that each of them computed in its steps.
// What is written lies below dir meanwhile.
func Sweep(ctx context.Context, src stream.Source, column string, n, steps, rounds int, dir string) (Result, error) {
	var own float64
	all := func() (seconds float64, err error) {
		own = 0
		out, err := os.MkdirTemp(dir, "sweep-*")
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(out)) }()
		began := time.Now()
		results, err := trainer.TrainAll(ctx, sweepJobs(src, column, n, steps, out))
		seconds = time.Since(began).Seconds()
		for _, r := range results {
			own += r.Seconds * (1 - r.DataWaitFraction)
		}
		return seconds, err
	}
	return compare(rounds, all, func() (float64, error) { return own, nil })
}

func sweepJobs(src stream.Source, column string, n, steps int, out string) (jobs []trainer.Job) {
	for i := range n {
		c := recipe.Default(coder.SAE)
		c.Seed, c.Loop.Steps, c.SAE.K, c.Loop.LogSteps, c.Loop.CheckpointSteps, c.Loop.EvalSteps = uint64(i), steps, 16<<(i%2), steps, steps, steps
		jobs = append(jobs, trainer.Job{Dir: filepath.Join(out, fmt.Sprint(i)), Runs: []stream.Source{src},
			Column: column, Recipe: c, Now: time.Now})
	}
	return jobs
}
