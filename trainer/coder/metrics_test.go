package coder

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
)

func TestMetricsThatAreNotDefinedAreShown(t *testing.T) {
	m := Metrics{"fvu": math.NaN(), "relative_bias": math.Inf(1), "l0": 3, "mse": math.Inf(-1), "kl_score@fc2_3": math.NaN()}
	text, err := json.Marshal(Evaluation{Metrics: m, Notes: m.Undefined()})
	if err != nil {
		t.Fatal(err)
	}
	var raw struct {
		Metrics map[string]any
		Notes   map[string]string
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		t.Fatal(err)
	}
	if v, there := raw.Metrics["fvu"]; !there || v != nil || raw.Metrics["l0"] != 3.0 || raw.Notes["fvu"] != still || raw.Notes["kl_score"] == "" || raw.Notes["mse"] == "" {
		t.Errorf("%s", text)
	}
	var back Evaluation
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back.Metrics, Metrics{"l0": 3}) {
		t.Errorf("%+v, %v", back.Metrics, err)
	}
	if why := (Metrics{"l0": 1}).Undefined(); why != nil {
		t.Error(why)
	}
	line, err := json.Marshal(Event{Step: 1, Split: "eval", Values: m})
	var event map[string]any
	if err != nil || json.Unmarshal(line, &event) != nil || event["fvu"] != nil || event["l0"] != 3.0 {
		t.Errorf("%s, %v", line, err)
	}
}
