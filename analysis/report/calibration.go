package report

import (
	"fmt"
	"maps"
	"slices"

	"actfleet/analysis/evaluate"
)

// calibrationView is what the probabilities of the chosen probe are worth.
type calibrationView struct {
	Title     string
	Methods   [][]string // split, method, Brier, log loss, ECE
	Sets      [][]string // split, wanted, held, of label 0, of label 1, one label, none
	Alarms    [][]string // split, wanted, threshold, rate of false positives, recall
	Decisions [][]string // split, threshold, probe, all
}

func calibrationOf(c *evaluate.Calibration) *calibrationView {
	if c == nil || len(c.Splits) == 0 {
		return nil
	}
	v := &calibrationView{Title: fmt.Sprintf("Calibration of %s on one row of each of %d groups of %s", c.Probe, c.N, c.On)}
	for _, split := range slices.Sorted(maps.Keys(c.Splits)) {
		s := c.Splits[split]
		for _, m := range s.Methods {
			v.Methods = append(v.Methods, []string{split, m.Name, plain(m.Brier), plain(m.LogLoss), plain(m.ECE)})
		}
		for _, k := range s.Sets {
			wanted := fmt.Sprintf("%.0f %%", 100*(1-k.Alpha))
			if k.Mondrian {
				wanted += " of each label"
			}
			v.Sets = append(v.Sets, []string{split, wanted, plain(k.Coverage), plain(k.Negative), plain(k.Positive), plain(k.One), plain(k.Empty)})
		}
		for _, a := range s.Alarms {
			threshold := plain(a.Threshold)
			if !a.Threshold.Defined() {
				threshold = fmt.Sprintf("needs %d negatives", a.Needs)
			}
			v.Alarms = append(v.Alarms, []string{split, fmt.Sprintf("%.0f %%", 100*a.Wanted), threshold, plain(a.FPR), plain(a.Recall)})
		}
		for _, d := range s.Decisions {
			v.Decisions = append(v.Decisions, []string{split, fmt.Sprintf("%.1f", d.Threshold), plain(d.Probe), plain(d.All)})
		}
	}
	return v
}
