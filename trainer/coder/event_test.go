package coder

import (
	"encoding/json"
	"reflect"
	"testing"
)

// What an event says is in its line, and nothing else comes back: not the share of the all-reduces as a metric.
func TestEventRoundTrips(t *testing.T) {
	for _, e := range []Event{
		{Step: 3, Rows: 1 << 40, Seconds: 1.5, DataWaitFraction: 0.25, Split: "train", Values: map[string]float64{"loss": 0.5, "l0": 32}},
		{Step: 0, Split: "eval", Values: map[string]float64{}},
		{Step: 7, Seconds: 12, AllReduceFraction: 0.125, Split: "train", Values: map[string]float64{"fvu": 1e-9}},
	} {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var got Event
		if err := json.Unmarshal(line, &got); err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%s comes back as %+v, %v; want %+v", line, got, err, e)
		}
	}
}

// Whatever a line holds, an event has no negative count, and what it says is written as it was read.
func FuzzEvents(f *testing.F) {
	f.Add([]byte(`{"step":1,"tokens":10,"loss":3}` + "\n" + `{"step":2,"tokens":1e300,"loss":-1e308}` + "\n" + `{"step":-5,"loss":1e308}` + "\n" + `{"step":`))
	f.Add([]byte(`{"step":3,"split":"eval","starved":0.5,"summed":0.25,"note":"text","l0":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, e := range ParseEvents(text) {
			if e.Step < 0 || e.Rows < 0 {
				t.Fatalf("%+v", e)
			}
		}
	})
}
