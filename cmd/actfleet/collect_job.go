package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"actfleet/analysis/evaluate"
	"actfleet/collector"
	"actfleet/collector/dataset"
	"actfleet/shard/run"
	"actfleet/shard/store"
)

// publish puts the tokenised rows and then the plan into the run. A run that another plan made is
// refused with the differences.
func (j *job) publish(ctx context.Context) (err error) {
	if j.store == nil {
		if j.store, err = openStore(ctx, j.o.out, true); err != nil {
			return err
		}
	}
	if j.o.data.none() {
		return nil
	}
	if old, err := run.ReadPlan(ctx, j.store); err == nil && old.ID() != j.plan.ID() {
		_, err := run.CreatePlan(ctx, j.store, j.plan)
		return err
	}
	if err := j.putInput(ctx); err != nil {
		return err
	}
	_, err = run.CreatePlan(ctx, j.store, j.plan)
	return err
}

func (j *job) putInput(ctx context.Context) error {
	err := store.PutFrom(ctx, j.store, j.plan.Data.Input, func(w io.Writer) error {
		_, err := io.Copy(w, io.NewSectionReader(j.spool, 0, math.MaxInt64))
		return err
	})
	if err != nil && !errors.Is(err, store.ErrExists) {
		return fmt.Errorf("write the tokenised rows: %w", err)
	}
	return nil
}

// planWait is how long a joining node waits for the run's plan: its first node may still be reading
// its model.
const planWait = time.Minute

// follow takes plan and input from the run and checks that the model here is the plan's.
func (j *job) follow(ctx context.Context) (err error) {
	if j.store, err = openStore(ctx, j.o.out, true); err != nil {
		return err
	}
	say := func(line string) { fmt.Fprintln(os.Stderr, "fleet: "+line) }
	if j.plan, err = waitPlan(ctx, j.store, j.o.out, say); err != nil {
		return err
	}
	if j.input, err = openInput(ctx, j.store, j.plan.Data.Input); err != nil {
		return err
	}
	target, err := j.o.target.as(j.plan.Device, j.plan.Compute)
	if err != nil {
		return err
	}
	if j.model, _, err = target.load(j.o.model, j.plan.Model.Accept...); err != nil {
		return err
	}
	if have := j.model.Info().Digest; have != j.plan.Model.Digest {
		return fmt.Errorf("the model in %s (digest %.12s) is not the plan's %s (digest %.12s)", j.o.model, have, j.plan.Model.Name, j.plan.Model.Digest)
	}
	return nil
}

// planQuiet is how long it waits without a word.
const planQuiet = 5 * time.Second

// waitPlan reads the plan of a run once it is there, and says so when that takes a while.
func waitPlan(ctx context.Context, st store.Store, out string, say func(line string)) (run.Plan, error) {
	began, said := time.Now(), false
	for {
		plan, err := run.ReadPlan(ctx, st)
		waited := time.Since(began)
		if !errors.Is(err, store.ErrNotFound) || waited > planWait {
			return plan, err
		}
		if waited >= planQuiet && !said {
			said = true
			say(fmt.Sprintf("waiting for the plan of %s for up to %s: either the node given --data is not there or still reads its model and data, or its --out is another place", out, planWait))
		}
		select {
		case <-ctx.Done():
			return plan, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// openInput opens a run's tokenised rows; they stay open as long as the process lives.
func openInput(ctx context.Context, st store.Store, key string) (*dataset.File, error) {
	o, err := st.Open(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read the tokenised rows %s: %w", key, err)
	}
	return dataset.OpenInput(o, o.Size())
}

func readInput(ctx context.Context, st store.Store, key string) (*dataset.Input, error) {
	o, err := st.Open(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read the tokenised rows %s: %w", key, err)
	}
	defer o.Close()
	return dataset.ReadInput(o, o.Size())
}

// collectResult is what collect prints.
type collectResult struct {
	Run     string  `json:"run"`
	Plan    string  `json:"plan"`
	Units   int     `json:"units"`
	Won     int     `json:"won"`
	Lost    int     `json:"lost"`
	Rows    int64   `json:"rows"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
	// ChoiceCoverage is the mean probability that the model gives to the choices; absent without choices.
	ChoiceCoverage *float64 `json:"choice_coverage,omitempty"`
	// Data says what became of the documents; absent on a node that took the plan from the run.
	Data *dataSummary `json:"data,omitempty"`
}

func (j *job) end(out io.Writer, sum collector.Summary, errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return err
	}
	r := collectResult{Run: j.o.out, Plan: j.plan.ID(), Units: j.plan.NumUnits(), Won: sum.Won, Lost: sum.Lost,
		Rows: sum.Rows, Bytes: sum.Bytes, Seconds: time.Since(j.started).Seconds(), Data: j.data}
	if a := sum.Answers; a != nil {
		r.ChoiceCoverage = &a.Coverage
		sayAnswers(os.Stderr, j.plan.Choices, *a)
	}
	if j.o.jsonOut {
		return printJSON(out, r)
	}
	took := time.Duration(r.Seconds * float64(time.Second))
	fmt.Fprintf(out, "%s is complete: %d units. This node committed %d of them (%d rows, %s) in %s", j.o.out, r.Units, r.Won, r.Rows, bytesText(float64(r.Bytes)), timeText(took))
	if r.Lost > 0 {
		fmt.Fprintf(out, "; %d more were committed by others first", r.Lost)
	}
	fmt.Fprintln(out, ".")
	return nil
}

// sayAnswers warns of choices that the model hardly ever says, with what it says instead.
func sayAnswers(warn io.Writer, choices []string, a collector.Answers) {
	if a.Coverage >= evaluate.EnoughCoverage {
		return
	}
	said := make([]string, len(a.Top))
	for i, s := range a.Top {
		said[i] = fmt.Sprintf("%q %.2g", s.Token, s.P)
	}
	fmt.Fprintf(warn, "warning: the choices %s hold %.2g of the probability on average, so that p_yes is no answer of the model; "+
		"it says %s: end the prompts with a question (--template), or choose two of these words with --choices\n",
		strings.Join(choices, ","), a.Coverage, strings.Join(said, ", "))
}
