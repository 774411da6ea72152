package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"actfleet/collector"
	"actfleet/shard/run"
	"actfleet/shard/store"
)

// Job is what a node works on: a plan, its prompts and its model.
type Job struct {
	Plan  run.Plan
	Input collector.Prompts
	Model collector.Model

	tokenised io.ReaderAt // Input as it lies in the run, until it lies there
}

// NewJob plans what is asked for. The prompts in lie in the file tokenised, whose SHA-256 is sum; data is what the data
// set is called.
func NewJob(a collector.Ask, m collector.Model, in collector.Prompts, tokenised io.ReaderAt, sum, data string) (*Job, error) {
	plan, err := collector.NewPlan(a, m, in, data, run.InputKey(sum))
	return &Job{Plan: plan, Input: in, Model: m, tokenised: tokenised}, err
}

// planWait is how long a joining node waits for the run's plan: its first node may still be reading
// its model.
const planWait = time.Minute

// planQuiet is how long it waits without a word.
const planQuiet = 5 * time.Second

// Load loads a model for a plan's kind of device and precision.
type Load func(dir string, p run.Plan) (collector.Model, error)

// Tell receives a line that whoever started the node must know.
type Tell func(format string, args ...any)

// Follow takes plan and prompts from the run in a store, and refuses a model in dir that is not the plan's.
func Follow(ctx context.Context, st store.Store, dir string, load Load, tell Tell) (j *Job, err error) {
	j = &Job{}
	if j.Plan, err = waitPlan(ctx, st, tell); err != nil {
		return j, err
	}
	if j.Input, err = collector.OpenInput(ctx, st, j.Plan); err != nil {
		return j, err
	}
	if j.Model, err = load(dir, j.Plan); err != nil {
		return j, err
	}
	return j, collector.CheckModel(j.Plan, j.Model.Info(), dir)
}

// waitPlan reads the plan of a run once it is there, and says so when that takes a while.
func waitPlan(ctx context.Context, st store.Store, tell Tell) (run.Plan, error) {
	began, told := time.Now(), false
	for {
		plan, err := run.ReadPlan(ctx, st)
		waited := time.Since(began)
		if !errors.Is(err, store.ErrNotFound) || waited > planWait {
			return plan, err
		}
		if waited >= planQuiet && !told {
			told = true
			tell("fleet: waiting for the plan of %s for up to %s: either the node given --data is not there or still reads its model and data, or its --out is another place", st, planWait)
		}
		select {
		case <-ctx.Done():
			return plan, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// publish puts the tokenised rows and then the plan into the run. A run that another plan made is
// refused with the differences.
func (j *Job) publish(ctx context.Context, st store.Store) error {
	if j.tokenised == nil {
		return nil
	}
	if old, err := run.ReadPlan(ctx, st); err != nil || old.ID() == j.Plan.ID() {
		err := store.PutFrom(ctx, st, j.Plan.Data.Input, func(w io.Writer) error {
			_, err := io.Copy(w, io.NewSectionReader(j.tokenised, 0, math.MaxInt64))
			return err
		})
		if err != nil && !errors.Is(err, store.ErrExists) {
			return fmt.Errorf("write the tokenised rows: %w", err)
		}
		j.tokenised = nil
	}
	_, err := run.CreatePlan(ctx, st, j.Plan)
	return err
}
