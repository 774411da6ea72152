package evaluate

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTransfer(t *testing.T) {
	measure := func(v float64) Measure {
		return Measure{N: 10, AUROC: Value(v), AUROCLo: Value(v - .1), AUROCHi: Value(v + .1)}
	}
	of := func(own, other float64, name string) Table {
		return Table{Probes: []Probe{{ID: "p", Converged: true, Splits: map[string]Measure{"val": measure(own), "test": measure(own), name: measure(other)}}}}
	}
	x := NewTransfer([]string{"a", "b", "c"}, []Table{of(.9, .6, "b"), of(.8, .7, "a"), {Probes: []Probe{{ID: "never converged"}}}})
	if x.Cells[0][0].AUROC != .9 || x.Cells[0][1].AUROC != .6 || x.Cells[1][0].AUROC != .7 || x.Worst(0) != 1 || x.Worst(2) != -1 {
		t.Errorf("%+v", x)
	}
	if c := x.Cells[2][0]; c.AUROC.Defined() || c.Why != "no probe was chosen" {
		t.Errorf("%+v", c)
	}
	var text bytes.Buffer
	if err := x.WriteText(&text); err != nil || !strings.Contains(text.String(), "(0.900 [0.800, 1.000])") {
		t.Errorf("%v\n%s", err, text.String())
	}
	dir := t.TempDir()
	data, err := json.Marshal(x)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, TransferFile), data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	back, err := ReadTransfer(dir)
	if err != nil || back.Cells[0][1] != x.Cells[0][1] || back.Cells[2][1].AUROC.Defined() {
		t.Errorf("%+v, %v", back, err)
	}
	for _, bad := range []string{`{"runs":["a"],"cells":[]}`, `{"runs":["a"],"cells":[[]]}`, `[`} {
		if err := os.WriteFile(filepath.Join(dir, TransferFile), []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadTransfer(dir); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}
