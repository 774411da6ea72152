package main

import (
	"strings"
	"testing"
	"time"

	"actfleet/collector/model/parity"
	"actfleet/shard/tap"
)

// The report says of every tap above the tolerance how far both sides are from fp64, and marks which is too far.
func TestPrintParity(t *testing.T) {
	cell := func(site tap.Site, plain, ours, theirs float64) parity.Cell {
		return parity.Cell{Site: site, Error: plain, ByRMS: 2 * plain, Prompt: 4, FP64: &parity.Distances{Ours: ours, Transformers: theirs}}
	}
	for _, c := range []struct {
		name  string
		resid parity.Cell
		equal bool
		says  []string
	}{
		{"plain", parity.Cell{Site: tap.Resid, Error: 3e-5, ByRMS: 6e-5}, true, []string{"6.0e-05", "equal; ", "resid of layer 0 is 3.0e-05 from transformers in fp32 (prompt 0); allowed is 1.0e-04"}},
		{"judged equal", cell(tap.Resid, 1.5e-4, 1.2e-4, 7e-5), true,
			[]string{"3.0e-04!", "resid of layer 0  1.2e-04  7.0e-05               1.4e-04  equal\n", "equal; ", "1.5e-04 from transformers in fp32 (prompt 4) and 1.2e-04 from transformers in fp64, which is 7.0e-05 from its fp32; allowed is 1.4e-04"}},
		{"judged different", cell(tap.Resid, 1.5e-4, 1.2e-4, 4e-5), false, []string{"3.0e-04!", "resid of layer 0  1.2e-04  4.0e-05               1.0e-04  too far\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := parity.Report{Taps: []parity.Cell{c.resid}, Logits: parity.Cell{Site: "logits"}, Tolerance: parity.Tolerance, Equal: c.equal}
			var out strings.Builder
			if err := printParity(&out, r, time.Second); err != nil {
				t.Fatal(err)
			}
			for _, want := range c.says {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
			if strings.Contains(out.String(), "\nequal; ") != c.equal || strings.Contains(out.String(), "is the judge") != (c.resid.FP64 != nil) {
				t.Errorf("equal %t:\n%s", c.equal, out.String())
			}
		})
	}
}
