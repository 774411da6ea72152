package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"actfleet/analysis/evaluate"
	"actfleet/collector"
)

// dryRun predicts the run and writes nothing.
func (j *job) dryRun(ctx context.Context, out io.Writer) error {
	e, err := collector.Predict(ctx, j.alone())
	if err != nil {
		return err
	}
	if j.o.jsonOut {
		return printJSON(out, struct {
			collector.Estimate
			Data *dataSummary `json:"data"`
		}{e, j.data})
	}
	fmt.Fprintf(out, "documents %s\n", j.data)
	fmt.Fprintf(out, "prompts   %d, %d tokens\n", e.Prompts, e.Tokens)
	fmt.Fprintf(out, "rows      %d kept positions (%s) × %d vector columns\n", e.Rows, j.node.Plan.Tokens, e.Columns)
	fmt.Fprintf(out, "disk      %s\n", bytesText(float64(e.Bytes)))
	fmt.Fprintf(out, "units     %s\n", unitsText(e))
	fmt.Fprintf(out, "memory    %s a node (%d row groups of %s in flight)\n", bytesText(float64(e.Memory)), e.Blocks, bytesText(float64(e.BlockBytes)))
	fmt.Fprintf(out, "time      %s on this machine alone\n", timeText(inSeconds(e.Seconds)))
	fmt.Fprintf(out, "plan      %s\nnothing was written\n", j.node.Plan.ID())
	return nil
}

// unitsText says how many units there are, how long one takes, and how many nodes they are enough for.
func unitsText(e collector.Estimate) string {
	if e.Units == 1 {
		return fmt.Sprintf("1 of %s here: a second node would be idle; --unit-prompts makes more", timeText(inSeconds(e.UnitSeconds)))
	}
	return fmt.Sprintf("%d of about %d prompts and %s here, the longest %s: of more than %d nodes the others would be idle",
		e.Units, e.Prompts/e.Units, timeText(inSeconds(e.UnitSeconds)), timeText(inSeconds(e.LongestUnitSeconds)), e.Units)
}

func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

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
