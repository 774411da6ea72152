package shard_test

import (
	"bytes"
	"fmt"

	"actfleet/shard"
)

// A shard is written block by block and read back by arithmetic: no page is searched for.
func Example() {
	schema := shard.Schema{Scalars: shard.BaseScalars(), Vectors: []shard.Vector{{Name: "fc2_0", Width: 3, Dtype: shard.F16}}}
	block := shard.NewBlock(schema)
	block.Rows = 2
	for i := range block.Rows {
		block.Scalars[0].([]int64)[i] = int64(i) // row
		v := schema.Vectors[0]
		block.Stats[0].Merge(shard.PackF16(block.Vectors[0][i*v.RowBytes():], []float32{1, 2, float32(i)}))
	}

	var file bytes.Buffer
	w, err := shard.NewWriter(&file, schema, shard.Identity{PlanID: "the plan's id", Unit: 7})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := w.WriteBlock(block); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := w.Close(); err != nil {
		fmt.Println(err)
		return
	}

	r, err := shard.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		fmt.Println(err)
		return
	}
	column, _ := r.VectorIndex("fc2_0")
	raw, err := r.Vector(0, column, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	vectors := make([]float32, r.GroupRows(0)*3)
	shard.UnpackF16(vectors, raw)
	fmt.Println(r.Identity().Unit, r.NumRows(), vectors, r.Stats(column).MaxAbs)
	// Output: 7 2 [1 2 0 1 2 1] 2
}
