package evaluate

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// named is a split of prompts numbered from first on, a group for each two.
func named(name string, first, n int) Split {
	s := Split{Name: name}
	for i := first; i < first+n; i++ {
		s.Rows = append(s.Rows, Row{name, int64(i)}) // of different runs, so that the numbers do not meet
		s.Groups = append(s.Groups, fmt.Sprint(name, i/2))
		s.Texts = append(s.Texts, fmt.Sprintf("statement %d of many", i))
		s.Labels = append(s.Labels, i%3 == 0)
	}
	return s
}

// L1: a "test" or "elsewhere" split that holds rows of train or val under another name is refused by what the rows are, also
// where rows, groups and runs have other names; two splits of a table with the same content as well.
func TestNeverAgainL1KnownRowsUnderAnotherName(t *testing.T) {
	train, val, ood := named("train", 0, 40), named("val", 40, 20), named("ood", 40, 20)
	ood.Elsewhere = true
	if err := CheckSplits(train, val, ood); !errors.Is(err, ErrLeak) || !strings.Contains(err.Error(), `"val" and "ood" share 20 texts`) {
		t.Errorf("%v", err)
	}
	if err := CheckSplits(train, val, named("ood", 60, 20)); err != nil {
		t.Errorf("other rows: %v", err)
	}
	if val.Fingerprint() != ood.Fingerprint() || val.Fingerprint() == train.Fingerprint() {
		t.Error("a fingerprint is of the name")
	}
	table := tableOf(t)
	table.Fingerprints = map[string]string{"val": val.Fingerprint(), "test": ood.Fingerprint()}
	if err := table.Check(); !errors.Is(err, ErrUnsound) || !strings.Contains(err.Error(), "hold the same rows") {
		t.Errorf("%v", err)
	}
}

// L2: two data sets with equal row numbers, labels and groups are told apart by their content, so that what was measured on
// one is never beside the other as if it were the same.
func TestNeverAgainL2OtherDataHaveAnotherFingerprint(t *testing.T) {
	a, b := named("test", 0, 20), named("test", 0, 20)
	if a.Fingerprint() != b.Fingerprint() {
		t.Error("the same data differ")
	}
	b.Texts[7] += "!"
	if a.Fingerprint() == b.Fingerprint() {
		t.Error("another text has the same fingerprint")
	}
	b = named("test", 0, 20)
	b.Labels[3] = !b.Labels[3]
	if a.Fingerprint() == b.Fingerprint() {
		t.Error("another label has the same fingerprint")
	}
}

// L5: a fit that did not converge has no numbers and is never chosen, and a table without baselines may not be quoted.
func TestNeverAgainL5UnconvergedFitsAndMissingBaselines(t *testing.T) {
	table := tableOf(t)
	if chosen, _ := table.Chosen(); chosen.ID == "c" || !strings.Contains(cell(table.Probes[2], "val"), "–") {
		t.Errorf("%+v", chosen)
	}
	table.Primary = "c"
	if chosen, ok := table.Chosen(); ok {
		t.Errorf("declared and unconverged, %+v is chosen", chosen)
	}
	table.Baselines = nil
	if err := table.Check(); !errors.Is(err, ErrUnsound) {
		t.Errorf("%v", err)
	}
}

// L13: hard labels handed over as probabilities are seen to be that, and what is no probability has no calibration error.
func TestNeverAgainL13HardLabelsAreNoProbabilities(t *testing.T) {
	s := bold(4, 200)
	hard := Sample{Positive: s.Positive, Group: s.Group}
	for _, p := range s.Score {
		hard.Score = append(hard.Score, math.Round(p))
	}
	a, b := Evaluate(s, Options{}), Evaluate(hard, Options{})
	if a.Acc != b.Acc || !(b.AUROC < a.AUROC) || math.Abs(float64(b.Brier)-(1-float64(b.Acc))) > 1e-12 {
		t.Errorf("%+v, rounded %+v", a, b)
	}
	if v := ECE([]float64{-3, 2}, []bool{false, true}, 5); !math.IsNaN(v) {
		t.Errorf("logits have a calibration error of %v", v)
	}
}

// L14: a table says what its label is; without that it may not be quoted.
func TestNeverAgainL14WhoseTruth(t *testing.T) {
	table := tableOf(t)
	table.Target = ""
	if err := table.Check(); !errors.Is(err, ErrUnsound) || !strings.Contains(err.Error(), "what the label means") {
		t.Errorf("%v", err)
	}
}

// Of many cells without anything in them one in twenty is below 0.05, and after Holm's correction hardly ever one.
func TestHolm(t *testing.T) {
	if got := Holm([]float64{.01, .04, math.NaN(), .03}); got[0] != .03 || got[1] != .06 || got[3] != .06 || !math.IsNaN(got[2]) {
		t.Errorf("%v", got)
	}
	r := rand.New(rand.NewPCG(5, 5))
	wrong := 0
	for range 2000 {
		p := make([]float64, 30)
		for i := range p {
			p[i] = r.Float64()
		}
		for _, v := range Holm(p) {
			if v < .05 {
				wrong++
				break
			}
		}
	}
	if share := float64(wrong) / 2000; share > .065 {
		t.Errorf("%.3f of the families hold a wrong claim", share)
	}
}

// A claim needs an interval above 0, a p value that survives the number of cells looked at unless the cell was declared, and
// three seeds that agree.
func TestClaims(t *testing.T) {
	strong, weak := sampleOf(1, 100, 3), sampleOf(1, 100, 3)
	r := rand.New(rand.NewPCG(6, 6))
	for i := range weak.Score {
		weak.Score[i] = r.Float64()
	}
	low := []float64{1e-9, .5, .5}
	for name, c := range map[string]struct {
		claim        Claim
		probe, other Sample
		cells        []float64
		want         string
	}{
		"holds":        {Claim{Seeds: []Value{.1, .2}}, strong, weak, low, ""},
		"one seed":     {Claim{}, strong, weak, low, "1 of 3 seeds"},
		"other seeds":  {Claim{Seeds: []Value{.1, -.1}}, strong, weak, low, "with every seed"},
		"undefined":    {Claim{Seeds: []Value{.1, Value(math.NaN())}}, strong, weak, low, "with every seed"},
		"no better":    {Claim{Seeds: []Value{.1, .2}}, weak, strong, low, "holds 0"},
		"after many":   {Claim{Seeds: []Value{.1, .2}}, strong, weak, repeated(.004, 40), "after correction for 40 cells"},
		"but declared": {Claim{Declared: true, Seeds: []Value{.1, .2}}, strong, weak, repeated(.004, 40), ""},
	} {
		got := NewClaim(c.claim, c.probe, c.other, c.cells, 0, Options{})
		if got.Marked != (c.want == "") || !strings.Contains(got.Why, c.want) || c.want == "" && !strings.Contains(got.String(), "holds") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func repeated(v float64, n int) (out []float64) {
	for range n {
		out = append(out, v)
	}
	return out
}

// Pairs of words tell apart what the same words in another order do not.
func TestNGrams(t *testing.T) {
	train, label := []string{"no yes", "yes no", "no yes", "yes no"}, []bool{true, false, true, false}
	words, grams := BagOfWords(train, label, []string{"no yes"}), NGrams(train, label, []string{"no yes"})
	if math.Abs(words[0]-0.5) > 1e-9 || grams[0] < 0.7 {
		t.Errorf("words %v, n-grams %v", words, grams)
	}
	b := Shuffled([][]float64{{.1, .9}, {.9, .1}, {.5, .5}}, []bool{false, true}, "test")
	if b.AUROC != .5 || b.Lo >= .1 || b.Hi <= .9 || b.Acc.Defined() {
		t.Errorf("%+v", b)
	}
}
