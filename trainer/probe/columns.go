package probe

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"actfleet/shard"
	"actfleet/trainer/stream"
)

// Columns names the scalar columns that are read. A column that is named must be there.
type Columns struct {
	Label string
	Group string // Auto is "group" where every run has it; Prompt, or nothing, makes each prompt its own group
	Split string // Auto is "split" where every run has it; nothing splits groups by hash

	Pair     string // of the kinds that need pairs: Auto is "pair"; equal values make a pair, nothing is none
	Polarity string // of the kinds that need it: Auto is "polarity"; read as a label is

	needPairs, needPolarity bool
}

// ErrColumn says that a run lacks a column that was asked for.
var ErrColumn = errors.New("no such column")

// What a column may be called beside its name.
const (
	Auto   = "auto" // the usual column where every run has it
	Prompt = "row"  // each prompt by itself
)

// wanted are the columns to read; "" is one the runs do not have.
type wanted struct {
	label, group, split, text string
	pair, polarity            string
	answers                   []string
	plan                      string // of the run, where row numbers are those of several runs
}

// columnsOf looks which columns every run has.
func columnsOf(runs []stream.Source, c Columns, rows *Rows) (w wanted, err error) {
	if w.label, err = columnFor("label", c.Label, "", runs); err != nil {
		return w, fmt.Errorf("%w: %w", ErrLabel, err)
	}
	if c.Group != Prompt {
		if w.group, err = columnFor("group", c.Group, "group", runs); err != nil {
			return w, err
		}
	}
	if w.split, err = columnFor("split", c.Split, "split", runs); err != nil {
		return w, err
	}
	if c.needPairs {
		if w.pair, err = columnFor("pair", cmp.Or(strings.TrimPrefix(c.Pair, Auto), "pair"), "", runs); err != nil {
			return w, err
		}
	}
	if c.needPolarity {
		if w.polarity, err = columnFor("polarity", cmp.Or(strings.TrimPrefix(c.Polarity, Auto), "polarity"), "", runs); err != nil {
			return w, err
		}
	}
	rows.GroupBy, rows.SplitBy = cmp.Or(w.group, Prompt), w.split
	if haveAll(runs, "text") {
		w.text = "text"
	}
	for _, s := range runs[0].Plan.Scalars {
		if (s.Name == "p_yes" || strings.HasPrefix(s.Name, "p_yes__")) && haveAll(runs, s.Name) {
			w.answers = append(w.answers, s.Name)
		}
	}
	return w, nil
}

// of is what to read of a run that nothing is fitted on: of the columns it lacks nothing, and no split. It must have labels.
func (w wanted) of(r stream.Source) (wanted, error) {
	s := r.Plan.Schema()
	if !has(s, w.label) {
		return w, fmt.Errorf("%w: %w: %s has no column %q for label; its data has %s", ErrLabel, ErrColumn, r.Store, w.label, ownColumns(s))
	}
	w.split = ""
	for _, c := range []*string{&w.group, &w.text, &w.pair, &w.polarity} {
		if !has(s, *c) {
			*c = ""
		}
	}
	return w, nil
}

// columnFor is the column of a part that was asked for by name; under Auto the usual one, or "" where a run lacks it.
func columnFor(part, name, usual string, runs []stream.Source) (string, error) {
	switch {
	case name == "" && usual != "":
		return "", nil
	case name == Auto && haveAll(runs, usual):
		return usual, nil
	case name == Auto && usual != "":
		return "", nil
	}
	for _, r := range runs {
		if s := r.Plan.Schema(); !has(s, name) {
			return "", fmt.Errorf("%w: %s has no column %q for %s; its data has %s; name one with --set %s=COLUMN", ErrColumn, r.Store, name, part, ownColumns(s), part)
		}
	}
	return name, nil
}

func haveAll(runs []stream.Source, name string) bool {
	return !slices.ContainsFunc(runs, func(r stream.Source) bool { return !has(r.Plan.Schema(), name) })
}

func has(s shard.Schema, name string) bool {
	_, ok := s.ScalarIndex(name)
	return ok
}

// ownColumns lists the scalar columns that are not every run's.
func ownColumns(s shard.Schema) string {
	var own []string
	for _, c := range s.Scalars[min(len(shard.BaseScalars()), len(s.Scalars)):] {
		own = append(own, c.Name)
	}
	if len(own) == 0 {
		return "no columns of its own"
	}
	return strings.Join(own, ", ")
}
