package analysis_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"actfleet/analysis"
	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/shard/store/local"
)

// A run's shards are a view as they lie: here two units of three prompts, with the vectors of one site.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	st, err := local.New(filepath.Join(dir, "night-1"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fill := shardtest.Fill{Vector: func(_ string, k shard.RowKey, x []float32) { x[0], x[1] = 3*float32(k.Row), 4*float32(k.Row) }}
	fill.PutRun(new(testing.T), st, shardtest.Plan(run.Plan{Data: run.DataRef{Rows: 6}, Tokens: "last", Scalars: shard.BaseScalars(),
		Vectors: []shard.Vector{{Name: "fc2_0", Width: 2, Dtype: shard.F16}}}, 2))

	ctx := context.Background()
	db, err := analysis.Open(ctx, []analysis.Run{{Name: st.String()}}, analysis.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	err = db.Answer(ctx, os.Stdout, analysis.Request{SQL: "select unit, count(*) as rows, avg(l2(fc2_0)) as norm from acts group by unit order by unit", Form: analysis.CSV})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// unit,rows,norm
	// 0,3,5
	// 1,3,20
}
