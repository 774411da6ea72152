package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"actfleet/analysis/evaluate"
	"actfleet/collector"
)

// collectResult is what collect prints.
type collectResult struct {
	Run   string `json:"run"`
	Plan  string `json:"plan"`
	Units int    `json:"units"`
	Won   int    `json:"won"`
	Lost  int    `json:"lost"`
	// Overtaken are units that this node dropped because others had committed them.
	Overtaken int     `json:"overtaken"`
	Rows      int64   `json:"rows"`
	Bytes     int64   `json:"bytes"`
	Seconds   float64 `json:"seconds"`
	// ChoiceCoverage is the mean probability that the model gives to the choices; absent without choices.
	ChoiceCoverage *float64 `json:"choice_coverage,omitempty"`
	// Data says what became of the documents; absent on a node that took the plan from the run.
	Data *dataSummary `json:"data,omitempty"`
}

// print says what this node did of a run that is whole.
func (j *job) print(out io.Writer, sum collector.Summary) error {
	plan := j.node.Plan
	r := collectResult{Run: j.o.out, Plan: plan.ID(), Units: plan.NumUnits(), Won: sum.Won, Lost: sum.Lost, Overtaken: sum.Overtaken,
		Rows: sum.Rows, Bytes: sum.Bytes, Seconds: time.Since(j.started).Seconds(), Data: j.data}
	if a := sum.Answers; a != nil {
		r.ChoiceCoverage = &a.Coverage
		sayAnswers(os.Stderr, plan.Choices, *a)
	}
	if j.o.jsonOut {
		return printJSON(out, r)
	}
	took := time.Duration(r.Seconds * float64(time.Second))
	fmt.Fprintf(out, "%s is complete: %d units. This node committed %d of them (%d rows, %s) in %s", j.o.out, r.Units, r.Won, r.Rows, bytesText(float64(r.Bytes)), timeText(took))
	if n := r.Lost + r.Overtaken; n > 0 {
		fmt.Fprintf(out, "; %d more were committed by others first", n)
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
