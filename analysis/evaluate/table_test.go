package evaluate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sampleOf(seed uint64, groups int, d float64) Sample {
	scores, positive, group := planted(rand.New(rand.NewPCG(seed, 0)), groups, d)
	s := Sample{Positive: positive}
	for i, x := range scores {
		s.Score = append(s.Score, 1/(1+math.Exp(d/2-x)))
		s.Group = append(s.Group, string(rune('a'+group[i]%26))+string(rune('a'+group[i]/26)))
	}
	return s
}

func tableOf(t *testing.T) Table {
	t.Helper()
	test := sampleOf(1, 80, 2)
	random, err := RandomDirections(features(2, 64, 3), features(3, 64, 3), "test", 20, 1)
	if err != nil {
		t.Fatal(err)
	}
	return Table{
		Label: "label", Target: "the statement is true", Splits: map[string]int{"test": len(test.Score)},
		Baselines: []Baseline{Majority(test.Positive, test, "test", Options{}), random},
		Probes: []Probe{
			{ID: "a", Kind: "logistic", Site: "fc2", Layer: 2, Converged: true, Splits: map[string]Measure{"test": Evaluate(test, Options{}), "val": Evaluate(sampleOf(2, 40, 2), Options{})}},
			{ID: "b", Kind: "logistic", Site: "fc2", Layer: 10, Converged: true, Splits: map[string]Measure{"test": Evaluate(sampleOf(3, 80, 3), Options{}), "val": Evaluate(sampleOf(4, 40, .1), Options{})}},
			{ID: "c", Kind: "logistic", Site: "fc2", Layer: 11, Splits: map[string]Measure{"val": Evaluate(sampleOf(5, 40, 6), Options{})}},
		},
	}
}

// features has the label on coordinate 0 of width d.
func features(seed uint64, n, d int) Features {
	rng := rand.New(rand.NewPCG(seed, 1))
	f := Features{D: d}
	for i := range n {
		f.Positive = append(f.Positive, i%2 == 0)
		for j := range d {
			x := rng.NormFloat64()
			if j == 0 && i%2 == 0 {
				x += 8
			}
			f.X = append(f.X, float32(x))
		}
	}
	return f
}

func TestTableRoundTripAndChoice(t *testing.T) {
	table := tableOf(t)
	data, err := json.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ResultsFile), data, 0o644); err != nil {
		t.Fatal(err)
	}
	back, err := ReadTable(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil || !bytes.Equal(data, again) {
		t.Errorf("read back differently (%v):\n%s\n%s", err, data, again)
	}
	if p, ok := back.Chosen(); !ok || p.ID != "a" {
		t.Errorf("chosen %q: must have the best validation AUROC among converged probes, not the best test AUROC", p.ID)
	}
	if got := strings.Join(back.SplitNames(), " "); got != "val test" {
		t.Errorf("splits %s", got)
	}
	if err := back.Check(); err != nil {
		t.Errorf("a sound table: %v", err)
	}
}

func TestCheckRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Table)
		says   string
	}{
		"no baselines":    {func(t *Table) { t.Baselines = nil }, "no majority baseline"},
		"same rows twice": {func(t *Table) { t.Fingerprints = map[string]string{"val": "1", "test": "1"} }, `"test" and "val" hold the same rows`},
		"no groups":       {func(t *Table) { t.Probes[0].Splits["test"] = Measure{AUROC: 1} }, "1 cells without groups"},
		"no interval": {func(t *Table) {
			m := t.Probes[0].Splits["test"]
			m.AUROCLo = Value(math.NaN())
			t.Probes[0].Splits["test"] = m
		}, "without intervals"},
		"empty": {func(t *Table) { t.Probes = nil }, "no probes"},
	} {
		table := tableOf(t)
		c.change(&table)
		if err := table.Check(); !errors.Is(err, ErrUnsound) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAbsentNumbersAreUndefined(t *testing.T) {
	var m Measure
	if err := json.Unmarshal([]byte(`{"n":5,"auroc":0.7,"ece":null}`), &m); err != nil {
		t.Fatal(err)
	}
	if m.AUROC != 0.7 || m.ECE.Defined() || m.AUROCLo.Defined() || m.N != 5 {
		t.Errorf("%+v", m)
	}
}

func TestWriteTextWithholdsUnconverged(t *testing.T) {
	var b strings.Builder
	if err := tableOf(t).WriteText(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 6 || !strings.Contains(lines[3], "not converged") || strings.Contains(lines[3], "0.") {
		t.Errorf("table:\n%s", b.String())
	}
}

func TestRandomDirectionsFindPlantedSpread(t *testing.T) {
	narrow, err := RandomDirections(features(1, 200, 1), features(2, 200, 1), "test", 30, 7)
	if err != nil {
		t.Fatal(err)
	}
	if narrow.Lo < 0.99 { // one dimension: every direction is the label's, once its sign is set
		t.Errorf("D=1: %+v", narrow)
	}
	wide, err := RandomDirections(features(1, 400, 2000), features(2, 400, 2000), "test", 30, 7)
	if err != nil {
		t.Fatal(err)
	}
	if wide.AUROC > 0.65 || wide.AUROC < 0.4 || wide.Lo > wide.AUROC || wide.Hi < wide.AUROC {
		t.Errorf("D=2000: %+v", wide)
	}
	if _, err := RandomDirections(features(1, 4, 2), features(1, 4, 3), "test", 3, 1); err == nil {
		t.Error("rows of different widths accepted")
	}
}

func TestTextBaselines(t *testing.T) {
	train := []string{"Rome is not big", "Paris is big", "Oslo is not old", "Bern is old"}
	labels := []bool{false, true, false, true}
	test := []string{"Turin is not far", "Turin is far", "", "unseen words only"}
	words := BagOfWords(train, labels, test)
	if !(words[0] < 0.5 && words[1] > words[0]) {
		t.Errorf("bag of words %v", words)
	}
	near(t, "no known word: the prior", words[3], 0.5, 1e-12)
	length := Length(train, labels, test)
	if !(length[1] > length[0]) { // positives are shorter here
		t.Errorf("length %v", length)
	}
}

func TestOneClassSaysWhy(t *testing.T) {
	s := sampleOf(9, 20, 1)
	for i := range s.Positive {
		s.Positive[i] = true
	}
	m := Evaluate(s, Options{})
	if m.AUROC.Defined() || m.Why != fmt.Sprintf("one class only: %d rows of label 1, 0 of label 0", len(s.Positive)) {
		t.Errorf("AUROC %v: %q", m.AUROC, m.Why)
	}
	if b := Majority(s.Positive, s, "test", Options{}); b.AUROC.Defined() || b.Acc != 1 {
		t.Errorf("majority: %+v", b)
	}
	if m := Evaluate(sampleOf(9, 20, 1), Options{}); m.Why != "" || Evaluate(Sample{}, Options{}).Why != "no rows" {
		t.Errorf("both classes: %q", m.Why)
	}
}

func TestNotes(t *testing.T) {
	table := tableOf(t)
	if notes := table.Notes(); len(notes) != 0 {
		t.Fatalf("a sound table: %v", notes)
	}
	low, high := Value(4e-7), Value(0.9)
	table.GroupBy = UngroupedBy
	table.Near = []NearLeak{{Split: "test", Other: "train", Rows: 2, Of: 300, Examples: [][2]string{{"a b", "a  b"}}}}
	table.Baselines = append(table.Baselines, Baseline{Name: BaselineModel, Split: "test", Coverage: &low}, Baseline{Name: BaselineModel, Split: "val", Coverage: &high})
	m := table.Probes[0].Splits["val"]
	m.Why = "one class only: 3 rows of label 1, 0 of label 0"
	table.Probes[0].Splits["val"] = m
	var b strings.Builder
	if err := table.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"no groups: ", `2 of the 300 rows of "test" nearly stand in "train": "a b" like "a  b"`,
		"model answer on test: the choices hold 4e-07 of the probability", "no AUROC on val: one class only", "of 4e-07", "of 0.9"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if n := len(table.Notes()); n != 4 {
		t.Errorf("%d notes: %q", n, table.Notes())
	}
	if got := table.Baselines[len(table.Baselines)-2].Title(); got != "model answer (! 4e-07 of the probability)" {
		t.Errorf("title %q", got)
	}
}
