package evaluate

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Sample is what a probe said about the rows of one split; the slices run over
// the same rows.
type Sample struct {
	Score    []float64 // probability of the positive label; any increasing score does for the AUROC
	Positive []bool    // true label
	Group    []string  // what the rows must be resampled by
}

// Options fixes how a sample is measured. The zero value is the default.
type Options struct {
	Bootstrap
	Threshold float64 // a score above it says positive; 0 means one half
	Bins      int     // bins of equal mass for the ECE; 0 means 15
}

func (o Options) withDefaults() Options {
	o.Bootstrap = o.Bootstrap.withDefaults()
	if o.Threshold == 0 {
		o.Threshold = 0.5
	}
	if o.Bins == 0 {
		o.Bins = 15
	}
	return o
}

// Value is a number that may be undefined: NaN is null in JSON and back.
type Value float64

// Defined tells whether v is a finite number.
func (v Value) Defined() bool { return !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) }

// MarshalJSON writes null for what JSON has no number for.
func (v Value) MarshalJSON() ([]byte, error) {
	if !v.Defined() {
		return []byte("null"), nil
	}
	return json.Marshal(float64(v))
}

// UnmarshalJSON reads null as NaN.
func (v *Value) UnmarshalJSON(data []byte) error {
	f := math.NaN()
	if err := json.Unmarshal(data, &f); err != nil {
		return err
	}
	*v = Value(f)
	return nil
}

// Measure is one cell of a table: a probe on a split.
type Measure struct {
	N       int    `json:"n"`      // rows
	Groups  int    `json:"groups"` // groups among them
	AUROC   Value  `json:"auroc"`
	AUROCLo Value  `json:"auroc_lo"` // clustered bootstrap
	AUROCHi Value  `json:"auroc_hi"`
	Acc     Value  `json:"acc"`
	AccLo   Value  `json:"acc_lo"` // clustered Wilson
	AccHi   Value  `json:"acc_hi"`
	ECE     Value  `json:"ece"`               // bins of equal mass
	Brier   Value  `json:"brier"`             // mean of (P − y)²
	Recall  Value  `json:"recall_at_1pc_fpr"` // share of positives found at 1 % false positives
	Recall1 Value  `json:"recall_at_0.1pc_fpr"`
	Why     string `json:"why,omitempty"` // why the AUROC is undefined
}

// UnmarshalJSON leaves absent numbers undefined rather than zero.
func (m *Measure) UnmarshalJSON(data []byte) error {
	type plain Measure
	nan := Value(math.NaN())
	p := plain{AUROC: nan, AUROCLo: nan, AUROCHi: nan, Acc: nan, AccLo: nan, AccHi: nan, ECE: nan, Brier: nan, Recall: nan, Recall1: nan}
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	*m = Measure(p)
	return nil
}

// Evaluate measures a sample. Without groups every row is its own group, which
// Table.Check cannot tell from a grouped split: pass the groups there are.
func Evaluate(s Sample, o Options) Measure {
	o = o.withDefaults()
	group := groupsOf(s)
	auroc := o.Bootstrap.AUROC(s.Score, s.Positive, group)
	acc := ClusteredWilson(correct(s.Score, s.Positive, o.Threshold), group, o.Level)
	return Measure{
		N: len(s.Score), Groups: countGroups(group),
		AUROC: Value(AUROC(s.Score, s.Positive)), AUROCLo: Value(auroc.Lo), AUROCHi: Value(auroc.Hi),
		Acc: Value(Accuracy(s.Score, s.Positive, o.Threshold)), AccLo: Value(acc.Lo), AccHi: Value(acc.Hi),
		ECE: Value(ECE(s.Score, s.Positive, o.Bins)), Brier: Value(Brier(s.Score, s.Positive)),
		Recall: Value(RecallAtFPR(s.Score, s.Positive, 0.01)), Recall1: Value(RecallAtFPR(s.Score, s.Positive, 0.001)),
		Why: undefined(s),
	}
}

// undefined says why a sample has no AUROC; "" where it has one.
func undefined(s Sample) string {
	positive := 0
	for _, p := range s.Positive {
		if p {
			positive++
		}
	}
	switch negative := len(s.Positive) - positive; {
	case positive == 0 && negative == 0:
		return "no rows"
	case positive == 0 || negative == 0:
		return fmt.Sprintf("one class only: %d rows of label 1, %d of label 0", positive, negative)
	case slices.ContainsFunc(s.Score, math.IsNaN):
		return "a score is not a number"
	}
	return ""
}

func groupsOf(s Sample) []int32 {
	if s.Group != nil {
		return GroupIndex(s.Group)
	}
	group := make([]int32, len(s.Score))
	for i := range group {
		group[i] = int32(i)
	}
	return group
}
