package recipe

import (
	"errors"
	"fmt"

	"actfleet/trainer/probe"
)

// Probe is what probes are fitted with. Its keys are documented by Keys.
type Probe struct {
	Kinds               []string
	L2                  []float64
	Label, Group, Split string   // columns
	Pair, Polarity      string   // columns
	LabelMap            []string // what labels mean: no=0
	NearDuplicates      float64  // share of a split's rows that may nearly be a text of another split
	MaxIter, Directions int
	Balanced            bool // both classes weigh alike
	Hidden, K           int  // units of an mlp, features of a k_sparse
	Primary, Position   string
	Seeds, Shuffles     int
}

func defaultProbe() Probe {
	return Probe{Kinds: []string{probe.Logistic, probe.MassMean}, L2: []float64{1e-3, 1e-2, 1e-1, 1}, Label: "label", Group: probe.Auto, Split: probe.Auto,
		Pair: probe.Auto, Polarity: probe.Auto, NearDuplicates: 0.01, MaxIter: 1000, Directions: 100, Position: probe.Last, Hidden: 16, K: 16, Seeds: 1, Shuffles: 5}
}

func (p *Probe) fields() []field {
	return []field{
		{"kinds", &p.Kinds, nil, probe.KindHelp()},
		{"l2", &p.L2, nil, "penalties to try; the best on the validation split is used"},
		{"balanced", &p.Balanced, nil, "give both labels the same total weight in the losses of logistic regressions, svm and mlp"},
		{"label", &p.Label, nil, "column with the label: 0 or 1, false or true, no or yes, -1 or 1"},
		{"label_map", &p.LabelMap, nil, "what other labels mean, such as lie=0,honest=1"},
		{"group", &p.Group, nil, "column whose equal values may not cross splits; auto is group where the runs have it; row is each prompt by itself"},
		{"split", &p.Split, nil, "column with train, val or test; auto is split where the runs have it; without it groups are split by hash"},
		{"pair", &p.Pair, nil, "column whose equal values make pairs, for kinds that need them; auto is pair"},
		{"polarity", &p.Polarity, nil, "column that is 1 for statements that affirm and 0 for those that negate, for ttpd, ccs and vinc; auto is polarity"},
		{"near_duplicates", &p.NearDuplicates, within(&p.NearDuplicates, 0, 1), "share of a split's prompts that may be near duplicates of another split's; 1 allows any number"},
		{"max_iter", &p.MaxIter, atLeast(&p.MaxIter, 1), "iterations before a fit counts as not converged"},
		{"hidden", &p.Hidden, size(&p.Hidden, 1), "hidden units of an mlp"},
		{"k", &p.K, size(&p.K, 1), "features of a k_sparse probe"},
		{"position", &p.Position, oneOf(&p.Position, probe.Last, probe.Mean, probe.Max), "vector of a prompt: last, or the mean or max over the positions that the run holds and where keeps; mean and max have no scores by row"},
		{"primary", &p.Primary, nil, "the one probe to quote, named before anything is fitted, such as logistic_resid_12; without it val chooses, and the p value is corrected for all cells"},
		{"seeds", &p.Seeds, between(&p.Seeds, 1, 100), "seeds that the chosen probe is fitted with; a claim needs 3"},
		{"shuffles", &p.Shuffles, between(&p.Shuffles, 0, 1000), "fits of the chosen probe to shuffled labels, for the baseline"},
		{"directions", &p.Directions, atLeast(&p.Directions, 0), "random directions, for the baseline"},
	}
}

// problems checks values against each other.
func (p Probe) problems() (errs []error) {
	for _, k := range p.Kinds {
		if err := probe.CheckKind(k); err != nil {
			errs = append(errs, fmt.Errorf("kinds: %w", err))
		}
	}
	if _, err := probe.ParseLabelMap(p.LabelMap); err != nil {
		errs = append(errs, err)
	}
	if len(p.Kinds) == 0 || len(p.L2) == 0 {
		errs = append(errs, errors.New("kinds and l2 must not be empty"))
	}
	for _, v := range p.L2 {
		if !(v >= 0 && v < 1e9) {
			errs = append(errs, fmt.Errorf("l2: %v is not a penalty", v))
		}
	}
	return errs
}
