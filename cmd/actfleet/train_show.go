package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/trainer"
	"actfleet/trainer/coder"
	"actfleet/trainer/vq"
)

// trainShown trains jobs and shows their progress.
func (o *trainOptions) trainShown(ctx context.Context, jobs []trainer.Job) ([]trainer.Result, error) {
	m := newMeter(os.Stderr)
	last, began := "", time.Now()
	var noticed sync.Map // coders of one column notice alike
	p := pace{now: time.Now, jobs: len(jobs)}
	for i, j := range jobs {
		if o.follow {
			jobs[i].Wait = waiter(m, j.Runs[0].Plan.NumUnits())
		}
		jobs[i].Notice = func(text string) {
			if _, told := noticed.LoadOrStore(text, true); !told {
				fmt.Fprintln(m, "train: "+text)
			}
		}
		jobs[i].Progress = func(e coder.Event) {
			name := j.Column
			if len(jobs) > 1 {
				name = filepath.Base(j.Dir)
			}
			last = eventLine(name, e)
			if left, ok := p.left(j.Dir, e); ok {
				last += "  ETA " + timeText(left)
			}
			if len(jobs) > 1 {
				last += fmt.Sprintf("  (%d coders, %s)", len(jobs), timeText(time.Since(began)))
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

// pace tells how long trainings that go side by side will take: the time on the wall since they were first heard of, by
// the share of the work that was done in it. A coder's work is the seconds that its own steps take.
type pace struct {
	now         func() time.Time
	jobs        int
	began       time.Time
	first, last map[string]coder.Event // by folder
}

// left takes in an event, and says how long all trainings still need once two of one of them are known.
func (p *pace) left(dir string, e coder.Event) (time.Duration, bool) {
	if p.first == nil {
		p.began, p.first, p.last = p.now(), map[string]coder.Event{}, map[string]coder.Event{}
	}
	if _, known := p.first[dir]; !known {
		p.first[dir] = e
	}
	p.last[dir] = e
	var done, rest float64
	for dir, e := range p.last {
		each := e.Seconds / float64(max(e.Step, 1))
		done += each * float64(e.Step-p.first[dir].Step)
		rest += each * float64(e.Total-e.Step)
	}
	if rest *= float64(p.jobs) / float64(len(p.last)); done <= 0 { // those not heard of are like the others
		return 0, false
	}
	return time.Duration(float64(p.now().Sub(p.began)) * rest / done), true
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
		fmt.Fprintf(&b, "  %.3g rows/s  waiting %.1f %%", rate, 100*e.DataWaitFraction)
		if e.AllReduceFraction > 0 {
			fmt.Fprintf(&b, "  sums %.1f %%", 100*e.AllReduceFraction)
		}
	}
	return b.String()
}

func printTrained(out io.Writer, j trainer.Job, r trainer.Result) {
	fmt.Fprintf(out, "%s: %s of %s, %d steps over %d rows in %s (waited for data %.1f %%)\n", j.Dir, j.Recipe.Kind, j.Column,
		r.Steps, r.Rows, timeText(time.Duration(r.Seconds*float64(time.Second))), 100*r.DataWaitFraction)
	if r.Dropped > 0 {
		fmt.Fprintf(out, "  left out %d rows with values that are not finite\n", r.Dropped)
	}
	if r.Sinks > 0 {
		fmt.Fprintf(out, "  sinks: %d of %d rows (%.2g %%), of extreme norm, sinks=%s; fvu is of the other rows, fvu_all of all\n",
			r.Sinks, r.Seen, 100*float64(r.Sinks)/float64(r.Seen), j.Recipe.Data.Sinks)
	}
	if r.OverNorm > 0 {
		fmt.Fprintf(out, "  left out %d rows above max_norm\n", r.OverNorm)
	}
	if r.Mixing.Units == 0 {
		fmt.Fprintf(out, "  this training had ended before; nothing was left to do\n")
	} else {
		fmt.Fprintf(out, "  mixing: a batch came from %d units with %.2f bits of entropy, %.0f %% of what is possible\n",
			r.Mixing.Units, r.Mixing.Entropy, 100*r.Mixing.Evenness)
	}
	if r.AllReduceFraction > 0 {
		fmt.Fprintf(out, "  sums over the ranks took %.1f %% of the time, waiting for each other included\n", 100*r.AllReduceFraction)
	}
	if len(r.Eval) == 0 {
		fmt.Fprintf(out, "  nothing is held out: eval measures the rows of the training\n")
	} else {
		fmt.Fprintf(out, "  held out:%s\n", metricText(r.Eval))
	}
	for _, note := range boundNotes(boundText(r.Card)) {
		fmt.Fprintf(out, "  l0: %s\n", note)
	}
	for _, line := range vq.Alarms(r.Eval) {
		fmt.Fprintf(out, "  alarm: %s\n", line)
	}
}

// lookAgain is how often a run that grows is looked at.
const lookAgain = time.Second

// openRun opens a run; with --follow it waits for one that has not begun.
func (o *trainOptions) openRun(ctx context.Context, run string) (store.Store, run.Plan, error) {
	for told := false; ; told = true {
		st, plan, err := openRunFor(ctx, run, o.write)
		if !o.follow || !errors.Is(err, errNoRun) {
			return st, plan, err
		}
		if !told {
			fmt.Fprintf(os.Stderr, "train: waiting for the run %s to begin\n", run)
		}
		if err := sleep(ctx, lookAgain); err != nil {
			return nil, plan, err
		}
	}
}

// waiter tells which unit is waited for.
func waiter(m *meter, units int) func(context.Context, int) error {
	return func(ctx context.Context, unit int) error {
		m.show(fmt.Sprintf("waiting for unit %d of %d", unit, units))
		return sleep(ctx, lookAgain)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
