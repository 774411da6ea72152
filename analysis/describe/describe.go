package describe

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"actfleet/shard/run"
	"actfleet/shard/store"
)

// Report is what a run is like.
type Report struct {
	Units    int          `json:"units"`
	Done     int          `json:"done"` // units that are committed
	Rows     int64        `json:"rows"` // of these
	Prompts  PromptReport `json:"prompts"`
	Columns  []Column     `json:"columns"`
	Warnings []string     `json:"warnings"` // what will spoil a coder or a probe, and what to do about it
}

// ErrEmpty means that no unit of the run is committed yet.
var ErrEmpty = errors.New("no unit is committed yet")

// Run describes the committed units of a run. The prompts are those of the whole plan. progress hears how many columns
// were looked at.
func Run(ctx context.Context, st store.Store, plan run.Plan, p Prompts, progress func(done, of int)) (*Report, error) {
	there, err := run.Readable(ctx, st, plan)
	if err != nil {
		return nil, err
	}
	var units []int
	for u, ok := range there {
		if ok {
			units = append(units, u)
		}
	}
	if len(units) == 0 {
		return nil, ErrEmpty
	}
	r := &Report{Units: len(there), Done: len(units), Prompts: describePrompts(p), Warnings: []string{}}
	if r.Columns, err = columns(ctx, st, units, plan.Vectors, progress); err != nil {
		return nil, err
	}
	for _, c := range r.Columns {
		r.Rows = c.Rows
	}
	r.warn()
	return r, nil
}

// warn collects what a user should know before training.
func (r *Report) warn() {
	say := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	if r.Done < r.Units {
		say("%d of %d units are not there yet: run the same collect again", r.Units-r.Done, r.Units)
	}
	r.warnPrompts(say)
	for _, kind := range []struct {
		text string
		of   func(Column) bool
	}{
		{"values that are NaN or infinite: training drops such rows (non_finite), probes refuse them", func(c Column) bool { return c.NonFinite > 0 }},
		{"values that did not fit into fp16: collect with --dtype f32", func(c Column) bool { return c.Overflow > 0 }},
		{"values above half of what fp16 can hold: another data set may overflow; with --dtype f32 it cannot", func(c Column) bool { return c.Overflow == 0 && c.MaxAbs > maxF16/2 }},
		{"attention sinks: training leaves them out by default (sinks=drop); they dominate a mean over all rows", func(c Column) bool { return c.Norms.Sinks > 0 }},
		{"a few channels far larger than all others: a probe needs standardised features, and these channels dominate an SAE's FVU", func(c Column) bool { return len(c.Outliers) > 0 }},
		{"few different rows (the last token is the same in every prompt?): no probe can tell equal rows apart", Column.repeats},
		{"channels that never change", func(c Column) bool { return c.Constant > 0 && !c.repeats() }},
	} {
		var names []string
		for _, c := range r.Columns {
			if kind.of(c) {
				names = append(names, c.Name)
			}
		}
		if len(names) > 0 {
			say("%s: %s", list(names), kind.text)
		}
	}
}

func (r *Report) warnPrompts(say func(format string, args ...any)) {
	p := r.Prompts
	if p.Repeated > 0 || p.Near > 0 {
		say("%d prompts repeat one of another group and %d more nearly do: they may end up on both sides of a split; put them into one group", p.Repeated, p.Near)
	}
	if n := len(p.Labels); p.LabelKinds > 1 && p.LabelKinds <= mostLabels {
		if least := p.Labels[n-1]; float64(least.Rows) < 0.1*float64(p.Prompts) {
			say("label %s has %d of %d prompts: accuracy misleads, look at AUROC and at recall for a fixed false-positive rate", least.Value, least.Rows, p.Prompts)
		}
	}
	if p.LabelKinds == 1 {
		say("all prompts have the label %s: there is nothing to tell apart", p.Labels[0].Value)
	}
	if p.LabelKinds > 1 && p.Groups == 0 {
		say("no column group: different forms of one fact may end up on both sides of a split")
	}
	if p.Groups > 1 && p.Largest > p.Prompts/2 {
		say("one group has %d of %d prompts: splits by group will be lopsided", p.Largest, p.Prompts)
	}
}

// repeats tells whether most rows of the sample stand there before.
func (c Column) repeats() bool { return c.Distinct < c.Norms.Rows/4 }

// list names at most six columns.
func list(names []string) string {
	if n := len(names); n > 6 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:5], ", "), n-5)
	}
	return strings.Join(names, ", ")
}
