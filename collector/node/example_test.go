package node_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"actfleet/collector"
	"actfleet/collector/dataset"
	"actfleet/collector/model/modeltest"
	"actfleet/collector/node"
	"actfleet/shard/store/mem"
	"actfleet/shard/tap"
)

// printer shows the units that are committed.
type printer struct{}

func (printer) Joined(*node.Fleet)  {}
func (printer) Tell(string, ...any) {}
func (printer) Observe(e collector.Event) {
	if e.Event == "commit" {
		fmt.Printf("unit %d: %d rows\n", *e.Unit, e.Rows)
	}
}

// A fleet of one collects every second position of three prompts into a store in memory.
func ExampleRun() {
	model := modeltest.NewFake()
	input := &dataset.Input{Digest: "…", IDs: [][]int32{{1, 2, 3}, {4, 5}, {6, 7, 8, 9}}, Text: []string{"a", "b", "c"}}
	rule, err := tap.ParseRule("every:2")
	if err != nil {
		fmt.Println(err)
		return
	}
	ask := collector.Ask{Sites: []tap.Site{tap.FC2}, Layers: []int{0}, Tokens: rule, Dtype: "auto", Template: "none"}
	var file bytes.Buffer
	if err := dataset.WriteInput(&file, input); err != nil {
		fmt.Println(err)
		return
	}
	sum256 := sha256.Sum256(file.Bytes())
	job, err := node.NewJob(ask, model, input, bytes.NewReader(file.Bytes()), hex.EncodeToString(sum256[:]), "prompts.jsonl")
	if err != nil {
		fmt.Println(err)
		return
	}
	sum, err := node.Run(context.Background(), node.Config{
		Job: job, Store: mem.New(time.Now), Started: time.Now(), Grace: time.Second,
		Token: func(id int32) string { return fmt.Sprint(id) },
		Fleet: node.FleetConfig{Logger: slog.Default()},
	}, printer{})
	fmt.Println(sum.Won, "of", job.Plan.NumUnits(), "units,", err)
	// Output:
	// unit 0: 5 rows
	// 1 of 1 units, <nil>
}
