package main

import (
	"strings"
	"testing"

	"actfleet/analysis/describe"
)

func TestDescribe(t *testing.T) {
	run := collected(t, "--limit", "60", "--sites", "Wqkv,resid", "--layers", "0")
	var r describe.Report
	decode(t, wantOKHere(t, "describe", run, "--json"), &r)
	if r.Rows != 60 || len(r.Columns) != 2 || r.Columns[1].Name != "resid_0" || r.Prompts.LabelKinds != 2 || r.Prompts.Groups == 0 {
		t.Errorf("%+v", r)
	}
	text := wantOKHere(t, "describe", run)
	for _, part := range []string{"60 rows, 60 prompts", "labels: ", "resid_0", "warning: Wqkv_0: few different rows"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	wantRefusalHere(t, exitError, []string{"nowhere"}, "describe", "nowhere")
}
