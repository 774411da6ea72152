package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"actfleet/analysis/evaluate"
	"actfleet/collector/dataset"
	"actfleet/trainer"
	"actfleet/trainer/stream"
)

// promptsLooked is how many bytes of prompts are compared; of a greater data set it is every n-th prompt.
const promptsLooked = 256 << 20

// sayNear warns of held-out prompts that nearly are prompts of the training, once for every holdout of the jobs: what is
// measured on them is not of unseen data.
func sayNear(ctx context.Context, jobs []trainer.Job, warn io.Writer) {
	said := map[stream.Holdout]bool{}
	for _, j := range jobs {
		h := stream.Holdout{Fraction: j.Recipe.Data.Holdout, By: holdoutColumn(j)}
		if said[h] || h.Fraction == 0 {
			continue
		}
		said[h] = true
		s, err := cutPrompts(ctx, j.Runs, h)
		if err != nil {
			fmt.Fprintf(warn, "warning: held-out prompts are not compared with those of the training: %v\n", err)
			return
		}
		s.say(ctx, h.By, warn)
	}
}

// holdoutColumn is the column that a job's holdout goes by.
func holdoutColumn(j trainer.Job) string {
	if by := j.Recipe.Data.HoldoutBy; by != "auto" {
		return by
	}
	for _, r := range j.Runs {
		if _, ok := r.Plan.Schema().ScalarIndex("group"); !ok {
			return "row"
		}
	}
	return "group"
}

// sides are the texts of both sides of a holdout.
type sides struct{ train, held []string }

// cutPrompts divides prompts as a holdout does. A holdout by a column that is not one of prompts gives no sides.
func cutPrompts(ctx context.Context, runs []stream.Source, h stream.Holdout) (s sides, err error) {
	step, err := promptStep(ctx, runs)
	if err != nil {
		return s, err
	}
	for _, r := range runs {
		if err := eachPrompt(ctx, r, func(in *dataset.Input) { s.add(in, h, step) }); err != nil {
			return s, err
		}
	}
	return s, nil
}

// promptStep is 1 where all prompts are looked at, n where every n-th is.
func promptStep(ctx context.Context, runs []stream.Source) (int, error) {
	var size int64
	for _, r := range runs {
		o, err := r.Store.Open(ctx, r.Plan.Data.Input)
		if err != nil {
			return 0, fmt.Errorf("read the prompts of %s: %w", r.Store, err)
		}
		size += o.Size()
		o.Close()
	}
	return int(1 + size/promptsLooked), nil
}

// add takes every step-th of some prompts to its side.
func (s *sides) add(in *dataset.Input, h stream.Holdout, step int) {
	values := columnOf(in, h.By)
	for i := range in.IDs {
		if values == nil || (in.First+i)%step != 0 {
			continue
		}
		side := &s.train
		if h.HeldAt(values, i) {
			side = &s.held
		}
		*side = append(*side, promptText(in, i))
	}
}

// columnOf is a column of the prompts; nil if there is none of that name.
func columnOf(in *dataset.Input, name string) any {
	if name == "row" {
		rows := make([]int64, len(in.IDs))
		for i := range rows {
			rows[i] = int64(in.First + i)
		}
		return rows
	}
	c, _ := in.Column(name)
	return c.Values
}

// say warns with a count and examples.
func (s sides) say(ctx context.Context, by string, warn io.Writer) {
	near, pairs := nearHeld(ctx, s.train, s.held)
	if near == 0 || ctx.Err() != nil {
		return
	}
	fmt.Fprintf(warn, "warning: %d of %d held-out prompts nearly are prompts of the training (held out by %s): %s; "+
		"hold out by a column whose equal values cover both, with --set holdout_by=COLUMN\n",
		near, len(s.held), by, evaluate.ShowPairs(pairs))
}

// nearHeld counts the held-out texts that are near duplicates of texts of the training, with the first two pairs.
func nearHeld(ctx context.Context, train, held []string) (n int, pairs [][2]string) {
	index := evaluate.NewNear(held)
	first := make([]atomic.Int64, len(held)) // 1 + the first text of the training that is near; 0: none
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	const chunk = 256
	for lo := 0; lo < len(train); lo += chunk {
		g.Go(func() error {
			for i := lo; i < min(lo+chunk, len(train)) && ctx.Err() == nil; i++ {
				for _, k := range index.Of(train[i]) {
					setLeast(&first[k], int64(i+1))
				}
			}
			return nil
		})
	}
	_ = g.Wait() // none fails
	for k := range first {
		if i := first[k].Load(); i > 0 {
			if n++; n <= 2 {
				pairs = append(pairs, [2]string{held[k], train[i-1]})
			}
		}
	}
	return n, pairs
}

// setLeast lowers a value that is not 0 to v, or sets it.
func setLeast(a *atomic.Int64, v int64) {
	for {
		old := a.Load()
		if old != 0 && old <= v || a.CompareAndSwap(old, v) {
			return
		}
	}
}
