package codes

import (
	"strings"
	"testing"

	"actfleet/shard"
	"actfleet/shard/run"
	"actfleet/shard/shardtest"
	"actfleet/shard/store/mem"
)

// Keys that the unit does not hold, or in another order, are an error.
func TestDecodeOtherRows(t *testing.T) {
	const width = 16
	p := run.Plan{Format: run.PlanFormat, Data: run.DataRef{Rows: 20}, Tokens: "all", Scalars: shard.BaseScalars(),
		Vectors: []shard.Vector{{Name: "fc2_3", Width: width, Dtype: shard.F16}}, Units: []int64{0, 20}}
	st := mem.New(nil)
	shardtest.Fill{}.PutUnit(t, st, p, 0)
	r, err := shard.Open(t.Context(), st, run.UnitKey(0))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	key, err := r.Scalars(0, "row", "pos")
	if err != nil {
		t.Fatal(err)
	}
	row, pos := key[0].([]int64), key[1].([]int32)
	o := originals{reader: r, column: "fc2_3", width: width, group: -1}
	if x, err := o.rows([]int64{row[1], row[5]}, []int32{pos[1], pos[5]}); err != nil || len(x) != 2*width {
		t.Errorf("rows that are there: %d values, %v", len(x), err)
	}
	if _, err := o.rows(row[2:3], pos[2:3]); err == nil || !strings.Contains(err.Error(), "another order") {
		t.Errorf("a row from before: %v", err)
	}
	narrow := originals{reader: r, column: "fc2_3", width: 3, group: -1}
	if _, err := narrow.rows(row[:1], pos[:1]); err == nil || !strings.Contains(err.Error(), "vectors of 16") {
		t.Errorf("another width: %v", err)
	}
}
