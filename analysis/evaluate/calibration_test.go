package evaluate

import (
	"math"
	"math/rand/v2"
	"testing"
)

// bold is groups of two rows whose stated log-odds are twice the true ones.
func bold(seed uint64, groups int) Sample {
	r := rand.New(rand.NewPCG(seed, 9))
	s := sampleOf(seed, groups, 0)
	for i := range s.Score {
		f := 2 * r.NormFloat64()
		s.Score[i], s.Positive[i] = 1/(1+math.Exp(-2*f)), r.Float64() < 1/(1+math.Exp(-f))
	}
	return s
}

func TestCalibrateMendsWhatIsTooBold(t *testing.T) {
	splits := map[string]Sample{"train": bold(1, 300), "val": bold(2, 600), "test": bold(3, 600)}
	c := Calibrate("p", "val", splits)
	if _, train := c.Splits["train"]; c.On != "val" || train || len(c.Splits) != 1 || c.N > 600 {
		t.Fatalf("%+v", c)
	}
	test := c.Splits["test"]
	for _, m := range test.Methods[1:] {
		if !(m.ECE < test.Methods[0].ECE-0.03) || !(m.Brier < test.Methods[0].Brier) {
			t.Errorf("%+v is no better than %+v", m, test.Methods[0])
		}
	}
	for _, s := range test.Sets {
		if s.Coverage < Value(1-s.Alpha-0.05) || s.Mondrian && (s.Negative < Value(1-s.Alpha-0.08) || s.Positive < Value(1-s.Alpha-0.08)) {
			t.Errorf("%+v", s)
		}
	}
	for _, a := range test.Alarms {
		if a.Threshold.Defined() && a.FPR > Value(a.Wanted+0.03) {
			t.Errorf("%+v", a)
		}
	}
}

// By hand: of two rows in four the probability is above one half, one of them rightly.
func TestDecisionsByHand(t *testing.T) {
	s := Sample{Score: []float64{.9, .8, .3, .1}, Positive: []bool{true, false, true, false}}
	if d := Decisions(s)[4]; d.Threshold != 0.5 || d.Probe != 0 || d.All != 0 {
		t.Errorf("%+v", d)
	}
	if d := Decisions(s)[1]; math.Abs(float64(d.Probe)-(0.5-0.25*0.25)) > 1e-12 || math.Abs(float64(d.All)-(0.5-0.5*0.25)) > 1e-12 {
		t.Errorf("%+v", d)
	}
	if got := Brier([]float64{1, .5}, []bool{false, true}); got != 0.625 {
		t.Errorf("Brier %v", got)
	}
}
