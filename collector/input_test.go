package collector

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"actfleet/collector/dataset"
	"actfleet/shard/run"
	"actfleet/shard/store"
	"actfleet/shard/store/mem"
)

// A plan whose rows are not those of its prompts, more or fewer, is refused before a unit is cut out of them.
func TestInputHasTheRowsOfThePlan(t *testing.T) {
	st := mem.New(time.Now)
	in := &dataset.Input{Digest: "d", IDs: [][]int32{{1}, {2, 3}}, Text: []string{"a", "b"}}
	var b bytes.Buffer
	if err := dataset.WriteInput(&b, in); err != nil {
		t.Fatal(err)
	}
	p := run.Plan{Data: run.DataRef{Input: run.InputKey("d")}}
	if err := store.Put(t.Context(), st, p.Data.Input, b.Bytes()); err != nil {
		t.Fatal(err)
	}
	for rows, good := range map[int64]bool{0: false, 1: false, 2: true, 3: false, 1 << 40: false} {
		p.Data.Rows = rows
		f, err := OpenInput(t.Context(), st, p)
		if (err == nil) != good || err != nil && !strings.Contains(err.Error(), "it holds 2 prompts") {
			t.Errorf("open %d rows: %v, %v", rows, f, err)
		}
		if _, err := ReadInput(t.Context(), st, p); (err == nil) != good {
			t.Errorf("read %d rows: %v", rows, err)
		}
	}
}
