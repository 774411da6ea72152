package run_test

import (
	"context"
	"fmt"
	"testing"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/shard/store/mem"
)

// The plan comes first, then a shard for each unit, then the manifest; Check reads every byte.
func Example() {
	ctx, st := context.Background(), mem.New(nil)
	plan := shardtest.Plan(run.Plan{Data: run.DataRef{Name: "facts", Rows: 6}, MaxTokens: 32, Tokens: "last",
		Scalars: shard.BaseScalars(), Vectors: []shard.Vector{{Name: "fc2_0", Width: 4, Dtype: shard.F16}}}, 3)
	created, err := run.CreatePlan(ctx, st, plan)
	fmt.Println("created:", created, err)

	for u := range plan.NumUnits() - 1 {
		shardtest.Fill{}.PutUnit(new(testing.T), st, plan, u)
	}
	_, complete, err := run.Finish(ctx, st, plan)
	fmt.Println("complete:", complete, err)

	shardtest.Fill{}.PutUnit(new(testing.T), st, plan, plan.NumUnits()-1)
	manifest, complete, err := run.Finish(ctx, st, plan)
	fmt.Println("complete:", complete, manifest.Rows(), "rows", err)

	report, err := run.Check(ctx, st, run.CheckOptions{})
	fmt.Println("sound:", report.Sound(), report.Committed, "of", report.Units, "units", err)
	// Output:
	// created: true <nil>
	// complete: false <nil>
	// complete: true 6 rows <nil>
	// sound: true 3 of 3 units <nil>
}
