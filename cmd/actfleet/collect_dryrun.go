package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"actfleet/collector"
)

// dryRun predicts the run and writes nothing.
func (j *job) dryRun(ctx context.Context, out io.Writer) error {
	e, err := collector.Predict(ctx, collector.Config{
		Plan: j.plan, Input: j.input, Model: j.model, Now: time.Now, Token: j.text.Token, Lanes: j.alone,
		Encode: func(s string) []int32 { return j.text.Encode(s, false) },
	})
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
	fmt.Fprintf(out, "rows      %d kept positions (%s) × %d vector columns\n", e.Rows, j.plan.Tokens, e.Columns)
	fmt.Fprintf(out, "disk      %s in %d units\n", bytesText(float64(e.Bytes)), e.Units)
	fmt.Fprintf(out, "memory    %s a node (%d row groups of %s in flight)\n", bytesText(float64(e.Memory)), e.Blocks, bytesText(float64(e.BlockBytes)))
	fmt.Fprintf(out, "time      %s on this machine alone\n", timeText(time.Duration(e.Seconds*float64(time.Second))))
	fmt.Fprintf(out, "plan      %s\nnothing was written\n", j.plan.ID())
	return nil
}
