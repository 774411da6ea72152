package trainer

import (
	"encoding/json"
	"testing"

	"actfleet/trainer/coder"
	"actfleet/trainer/stream"
)

// What parseProgress accepts has no negative count, and comes back as it was.
func FuzzParseProgress(f *testing.F) {
	good, err := json.Marshal(progress{Format: ckptFormat, Step: 7, Rows: 900, Seconds: 1.5, Cursor: stream.Cursor{Epoch: 1, Window: 2, Offset: 3},
		Card: coder.Card{Kind: coder.SAE, Width: 8, K: 2, DIn: 4, PlanIDs: []string{"x"}, Units: []int{3}, Seed: 1<<64 - 1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":2,"step":-1,"cursor":{"offset":-9223372036854775808}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parseProgress(text)
		if err != nil {
			return
		}
		if p.Step < 0 || p.Rows < 0 || p.Cursor.Epoch < 0 || p.Cursor.Window < 0 || p.Cursor.Offset < 0 {
			t.Errorf("%+v", p)
		}
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if q, err := parseProgress(again); err != nil || q.Step != p.Step || q.Cursor != p.Cursor {
			t.Errorf("%+v came back as %+v, %v", p, q, err)
		}
	})
}
