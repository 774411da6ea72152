package run_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	. "actfleet/shard/run"
)

// What ParsePlan accepts is canonical, has units that lie in its data one after another, and columns.
func FuzzParsePlan(f *testing.F) {
	f.Add(testPlan().Bytes())
	f.Add([]byte(`{"format":1,"units":[0,1]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePlan(data)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Bytes(), data) {
			t.Error("it is not canonical")
		}
		rows := int64(0)
		for u := range p.NumUnits() {
			lo, hi := p.UnitRange(u)
			if lo != rows || hi <= lo {
				t.Fatalf("unit %d is rows %d to %d, after %d", u, lo, hi, rows)
			}
			rows = hi
		}
		if p.NumUnits() > 0 && rows != p.Data.Rows || len(p.Schema().Scalars) < 2 {
			t.Errorf("%d rows of %d", rows, p.Data.Rows)
		}
		_ = p.Difference(testPlan())
	})
}

// What ParseManifest accepts lists the units in order and can be counted.
func FuzzParseManifest(f *testing.F) {
	sum := strings.Repeat("0a", 32)
	good, err := json.Marshal(Manifest{PlanID: sum, Units: []UnitFile{{UnitKey(0), 700, 12, sum}, {UnitKey(1), 1, 0, sum}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"plan_id":"","units":[{"rows":-1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest(data)
		if err != nil {
			return
		}
		if m.Rows() < 0 {
			t.Errorf("%d rows", m.Rows())
		}
		for i, u := range m.Units {
			if n, ok := ParseUnitKey(u.Key); !ok || n != i || u.Size < 0 {
				t.Errorf("unit %d is %+v", i, u)
			}
		}
	})
}
