package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"actfleet/analysis/evaluate"
	"actfleet/collector/behave"
	"actfleet/internal/outfile"
	"actfleet/shard"
)

// behaviourLevel is the level of the intervals.
const behaviourLevel = 0.95

// behaviourLine is a variant in a cell.
type behaviourLine struct {
	Variant  string     `json:"variant"`
	System   bool       `json:"system"`
	Shots    int        `json:"shots"`
	Instruct bool       `json:"instruct"`
	N        int        `json:"n"` // answers
	Balance  float64    `json:"balance"`
	PNo      float64    `json:"p_no"`
	PYes     float64    `json:"p_yes"`
	Coverage float64    `json:"choice_cov"`
	Acc      *shareLine `json:"acc"` // null where nothing was asked
	LieAcc   *shareLine `json:"lie_acc"`
	KnownLie *shareLine `json:"known_lie_acc"`
	Against  *pairsLine `json:"mcnemar,omitempty"` // the base, on the same prompts
	Stopped  string     `json:"stopped,omitempty"`
}

// shareLine is a share of n answers with its interval.
type shareLine struct {
	Value float64 `json:"value"`
	N     int     `json:"n"`
	Lo    float64 `json:"lo"`
	Hi    float64 `json:"hi"`
}

// pairsLine is McNemar's test of a variant against the base.
type pairsLine struct {
	N        int     `json:"n"`
	OnlyBase int     `json:"only_base"`
	OnlyThis int     `json:"only_this"`
	P        float64 `json:"p"`
}

func behaviourLines(results []behave.Result, statements []behave.Statement) (lines []behaviourLine) {
	groups := map[string]int32{}
	number := func(s behave.Statement) int32 {
		key := s.Group
		if key == "" {
			key = fmt.Sprintf("\x00%d", s.Row)
		}
		if _, ok := groups[key]; !ok {
			groups[key] = int32(len(groups))
		}
		return groups[key]
	}
	for _, s := range statements {
		number(s)
	}
	base := map[behave.Cell][]evaluate.Said{}
	for _, r := range results {
		var said []evaluate.Said
		for _, a := range r.Answers {
			said = append(said, evaluate.Said{Row: a.Row, Group: number(a.Statement), Lie: a.Lie, Label: a.Label, Correct: a.Correct(), Known: a.Known,
				PNo: a.PNo, PYes: a.PYes, Coverage: a.Coverage})
		}
		b := evaluate.Behave(said, behaviourLevel)
		l := behaviourLine{Variant: r.Variant, System: r.Cell.System, Shots: r.Cell.Shots, Instruct: r.Cell.Instruct, N: b.N, Balance: b.Balance,
			PNo: b.PNo, PYes: b.PYes, Coverage: b.Coverage, Acc: shareOf(b.Acc), LieAcc: shareOf(b.LieAcc), KnownLie: shareOf(b.KnownLie), Stopped: r.Stopped}
		if r.Variant == results[0].Variant {
			base[r.Cell] = said
		} else {
			p := evaluate.Compare(base[r.Cell], said)
			l.Against = &pairsLine{p.N, p.OnlyBase, p.OnlyOne, p.P}
		}
		lines = append(lines, l)
	}
	return lines
}

func shareOf(s evaluate.Share) *shareLine {
	if s.N == 0 {
		return nil
	}
	return &shareLine{s.Value, s.N, s.Interval.Lo, s.Interval.Hi}
}

// String is the share as a table has it.
func (s *shareLine) String() string {
	if s == nil {
		return "–"
	}
	return fmt.Sprintf("%.3f [%.3f–%.3f]", s.Value, s.Lo, s.Hi)
}

func behaviourTable(out io.Writer, lines []behaviourLine) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "variant\tsystem\tshots\tinstruct\tn\tbalance\tp_no\tp_yes\tchoice_cov\tacc\tlie_acc\tknown_lie_acc\tMcNemar p")
	onOff := map[bool]string{true: "on", false: "off"}
	var notes []string
	for _, l := range lines {
		p, mark := "", ""
		if l.Against != nil {
			p = fmt.Sprintf("%.3g (%d:%d)", l.Against.P, l.Against.OnlyThis, l.Against.OnlyBase)
		}
		if l.Stopped != "" {
			mark = "*"
			notes = append(notes, fmt.Sprintf("* %s, system %s, shots %d, instruct %s: %s", l.Variant, onOff[l.System], l.Shots, onOff[l.Instruct], l.Stopped))
		}
		fmt.Fprintf(w, "%s%s\t%s\t%d\t%s\t%d\t%.3f\t%.3f\t%.3f\t%.3f\t%s\t%s\t%s\t%s\n", l.Variant, mark, onOff[l.System], l.Shots, onOff[l.Instruct], l.N,
			l.Balance, l.PNo, l.PYes, l.Coverage, l.Acc, l.LieAcc, l.KnownLie, p)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, n := range notes {
		if _, err := fmt.Fprintln(out, n); err != nil {
			return err
		}
	}
	return nil
}

// answerColumns are the columns of the Parquet file, with the values of an answer.
var answerColumns = []struct {
	shard.Scalar
	of func(a behave.Answer) any
}{
	{shard.Scalar{Name: "row", Type: shard.Int64}, func(a behave.Answer) any { return int64(a.Row) }},
	{shard.Scalar{Name: "pos", Type: shard.Int32}, func(a behave.Answer) any { return int32(a.Tokens - 1) }},
	{shard.Scalar{Name: "n_tokens", Type: shard.Int32}, func(a behave.Answer) any { return int32(a.Tokens) }},
	{shard.Scalar{Name: "variant", Type: shard.String}, func(a behave.Answer) any { return a.Variant }},
	{shard.Scalar{Name: "template", Type: shard.String}, func(a behave.Answer) any { return a.Template }},
	{shard.Scalar{Name: "system", Type: shard.Bool}, func(a behave.Answer) any { return a.Cell.System }},
	{shard.Scalar{Name: "shots", Type: shard.Int32}, func(a behave.Answer) any { return int32(a.Cell.Shots) }},
	{shard.Scalar{Name: "instruct", Type: shard.Bool}, func(a behave.Answer) any { return a.Cell.Instruct }},
	{shard.Scalar{Name: "told_to_lie", Type: shard.Bool}, func(a behave.Answer) any { return a.Lie }},
	{shard.Scalar{Name: "label", Type: shard.Bool}, func(a behave.Answer) any { return a.Label }},
	{shard.Scalar{Name: "label_instructed", Type: shard.Bool}, func(a behave.Answer) any { return a.Label != a.Lie }},
	{shard.Scalar{Name: "group", Type: shard.String}, func(a behave.Answer) any { return a.Group }},
	{shard.Scalar{Name: "p_no", Type: shard.Float64}, func(a behave.Answer) any { return a.PNo }},
	{shard.Scalar{Name: "p_yes", Type: shard.Float64}, func(a behave.Answer) any { return a.PYes }},
	{shard.Scalar{Name: "choice_cov", Type: shard.Float64}, func(a behave.Answer) any { return a.Coverage }},
	{shard.Scalar{Name: "correct", Type: shard.Bool}, func(a behave.Answer) any { return a.Correct() }},
	{shard.Scalar{Name: "known", Type: shard.Bool}, func(a behave.Answer) any { return a.Known }},
	{shard.Scalar{Name: "prompt", Type: shard.String}, func(a behave.Answer) any { return a.Prompt }},
	{shard.Scalar{Name: "said", Type: shard.String}, func(a behave.Answer) any { return a.Generated }},
}

// writeAnswers writes every answer as a row of a Parquet file.
func writeAnswers(path string, results []behave.Result) error {
	var all []behave.Answer
	for _, r := range results {
		all = append(all, r.Answers...)
	}
	var s shard.Schema
	for _, c := range answerColumns {
		s.Scalars = append(s.Scalars, c.Scalar)
	}
	return outfile.Write(path, func(f *os.File) error {
		w, err := shard.NewWriter(f, s, shard.Identity{})
		if err != nil {
			return err
		}
		for from := 0; from < len(all); from += shard.RowGroupRows {
			b := shard.NewBlock(s)
			for _, a := range all[from:min(from+shard.RowGroupRows, len(all))] {
				for i, c := range answerColumns {
					set(b.Scalars[i], b.Rows, c.of(a))
				}
				b.Rows++
			}
			if err := w.WriteBlock(b); err != nil {
				return err
			}
		}
		_, err = w.Close()
		return err
	})
}

// set puts a value into a column of its type.
func set(column any, row int, v any) {
	switch c := column.(type) {
	case []int64:
		c[row] = v.(int64)
	case []int32:
		c[row] = v.(int32)
	case []float64:
		c[row] = v.(float64)
	case []bool:
		c[row] = v.(bool)
	case []string:
		c[row] = v.(string)
	}
}
