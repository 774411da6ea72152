package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"actfleet/trainer"
	"actfleet/trainer/coder"
	"actfleet/trainer/vq"
)

// trainShown trains jobs and shows their progress.
func (o *trainOptions) trainShown(ctx context.Context, jobs []trainer.Job) ([]trainer.Result, error) {
	m := newMeter(os.Stderr)
	last, began := "", time.Now()
	for i, j := range jobs {
		if o.follow {
			jobs[i].Wait = waiter(m, j.Runs[0].Plan.NumUnits())
		}
		jobs[i].Progress = func(e coder.Event) {
			last = eventLine(j.Column, e)
			if len(jobs) > 1 {
				last = fmt.Sprintf("%s  (%d coders, %s)", eventLine(filepath.Base(j.Dir), e), len(jobs), timeText(time.Since(began)))
			}
			m.show(last)
		}
	}
	results, err := trainer.TrainAll(ctx, jobs)
	if last != "" {
		m.last(last)
	}
	return results, err
}

// shown are the metrics of a progress line, in order, as far as a kind has them.
var shown = []string{"loss", "fvu", "l0", "dead", "perplexity", "usage"}

func eventLine(name string, e coder.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s step %d of %d", name, e.Step, e.Total)
	for _, name := range shown {
		if v, ok := e.Values[name]; ok {
			fmt.Fprintf(&b, "  %s %.4g", name, v)
		}
	}
	if e.Step > 0 && e.Seconds > 0 {
		rate := float64(e.Rows) / e.Seconds
		left := time.Duration(e.Seconds / float64(e.Step) * float64(e.Total-e.Step) * float64(time.Second))
		fmt.Fprintf(&b, "  %.3g rows/s  waiting %.1f %%", rate, 100*e.DataWaitFraction)
		if e.AllReduceFraction > 0 {
			fmt.Fprintf(&b, "  sums %.1f %%", 100*e.AllReduceFraction)
		}
		fmt.Fprintf(&b, "  ETA %s", timeText(left))
	}
	return b.String()
}

func printTrained(out io.Writer, j trainer.Job, r trainer.Result) {
	fmt.Fprintf(out, "%s: %s of %s, %d steps over %d rows in %s (waited for data %.1f %%)\n", j.Dir, j.Recipe.Kind, j.Column,
		r.Steps, r.Rows, timeText(time.Duration(r.Seconds*float64(time.Second))), 100*r.DataWaitFraction)
	if r.Dropped > 0 {
		fmt.Fprintf(out, "  left out %d rows with values that are not finite\n", r.Dropped)
	}
	if r.OverNorm > 0 {
		fmt.Fprintf(out, "  left out %d rows above max_norm\n", r.OverNorm)
	}
	fmt.Fprintf(out, "  mixing: a batch came from %d units with %.2f bits of entropy, %.0f %% of what is possible\n",
		r.Mixing.Units, r.Mixing.Entropy, 100*r.Mixing.Evenness)
	if r.AllReduceFraction > 0 {
		fmt.Fprintf(out, "  sums over the ranks took %.1f %% of the time, waiting for each other included\n", 100*r.AllReduceFraction)
	}
	fmt.Fprintf(out, "  held out:%s\n", metricText(r.Eval))
	for _, line := range vq.Alarms(r.Eval) {
		fmt.Fprintf(out, "  alarm: %s\n", line)
	}
}
