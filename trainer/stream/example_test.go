package stream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"actfleet/shard"
	"actfleet/shard/shardtest"
	"actfleet/shard/store/mem"
	"actfleet/trainer/stream"
)

// A stream gives every row once an epoch, in an order that is a function of the seed and the plan alone.
func ExampleOpen() {
	ctx, st := context.Background(), mem.New(nil)
	made := shardtest.Run{Rows: make([]shardtest.Row, 10), Tokens: "last", Units: 2, Vectors: []shard.Vector{{Name: "fc2_0", Width: 2, Dtype: shard.F32}},
		Fill: func(_ int, row int64, _ int32, x []float32) { x[0], x[1] = float32(row), 1 }}
	for i := range made.Rows {
		made.Rows[i].Tokens = 3
	}
	s, err := stream.Open(ctx, []stream.Source{{Store: st, Plan: made.Write(new(testing.T), st)}}, stream.Config{Column: "fc2_0", Batch: 4, ShuffleWindow: 2, Seed: 1, Epochs: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	sum := float32(0)
	for {
		b, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		for i := range b.N {
			sum += b.X[i*b.D]
		}
		fmt.Println(b.N, "rows of width", b.D)
	}
	fmt.Println("sum of the first channel:", sum)
	// Output:
	// 4 rows of width 2
	// 4 rows of width 2
	// 2 rows of width 2
	// sum of the first channel: 45
}
