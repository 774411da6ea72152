package evaluate

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"actfleet/internal/smallfile"
)

// ResultsFile is the name of a table in a probe folder.
const ResultsFile = "results.json"

// UngroupedBy is Table.GroupBy where each prompt is its own group.
const UngroupedBy = "row"

// Table holds every probe of one sweep on every split.
type Table struct {
	Label        string            `json:"label"`                  // the column that was predicted
	Target       string            `json:"target"`                 // what that label means, in words
	Filter       string            `json:"filter,omitempty"`       // which rows were kept; empty: all
	PlanIDs      []string          `json:"plan_ids"`               // runs the activations come from
	Splits       map[string]int    `json:"splits"`                 // rows of each split
	Fingerprints map[string]string `json:"fingerprints,omitempty"` // Split.Fingerprint of each
	GroupBy      string            `json:"group_by,omitempty"`     // the column whose values stay together; "row": each prompt by itself
	Near         []NearLeak        `json:"near_duplicates,omitempty"`
	Baselines    []Baseline        `json:"baselines"`
	Elsewhere    []string          `json:"elsewhere,omitempty"` // the splits that are whole other runs
	LeftOut      map[string]int    `json:"left_out,omitempty"`  // of these, rows whose group train or val has
	Probes       []Probe           `json:"probes"`
	Primary      string            `json:"primary,omitempty"` // the probe that was named before anything was fitted
	Claims       []Claim           `json:"claims,omitempty"`
	Calibration  *Calibration      `json:"calibration,omitempty"` // of the chosen probe
}

// Baseline is what a split gives without a probe.
type Baseline struct {
	Name  string `json:"name"`
	Split string `json:"split"`
	N     int    `json:"n,omitempty"`
	AUROC Value  `json:"auroc"`
	Lo    Value  `json:"lo"` // of AUROC: interval, or 5 % quantile of random directions
	Hi    Value  `json:"hi"`
	Acc   Value  `json:"acc"`
	AccLo Value  `json:"acc_lo"`
	AccHi Value  `json:"acc_hi"`

	// Coverage is the mean probability that the model gives to its two choices together, of BaselineModel alone. Where it
	// is low, the answer is not one.
	Coverage *Value `json:"coverage,omitempty"`
}

// EnoughCoverage is the mean coverage below which the model's own answer stands for nothing.
const EnoughCoverage = 0.1

// Caution says what keeps a baseline from being what it is called; "" where nothing does.
func (b Baseline) Caution() string {
	if b.Coverage == nil || *b.Coverage >= EnoughCoverage {
		return ""
	}
	return fmt.Sprintf("the choices hold %.2g of the probability: the model does not answer with them; collect says what it answers with", *b.Coverage)
}

// Title is the baseline's name, with its coverage where it has one.
func (b Baseline) Title() string {
	switch {
	case b.Coverage == nil:
		return b.Name
	case b.Caution() != "":
		return fmt.Sprintf("%s (! %.2g of the probability)", b.Name, *b.Coverage)
	}
	return fmt.Sprintf("%s (%.2g of the probability)", b.Name, *b.Coverage)
}

// UnmarshalJSON leaves absent numbers undefined rather than zero.
func (b *Baseline) UnmarshalJSON(data []byte) error {
	type plain Baseline
	nan := Value(math.NaN())
	p := plain{AUROC: nan, Lo: nan, Hi: nan, Acc: nan, AccLo: nan, AccHi: nan}
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	*b = Baseline(p)
	return nil
}

// Probe is one row of the table.
type Probe struct {
	ID        string             `json:"id"`
	Kind      string             `json:"kind"` // logistic, mass_mean, …
	Site      string             `json:"site"`
	Layer     int                `json:"layer"`
	Variant   string             `json:"variant,omitempty"` // adapter; empty: the base model
	Converged bool               `json:"converged"`
	Separable bool               `json:"separable,omitempty"` // it has every train row on its side
	Splits    map[string]Measure `json:"splits"`
	Pooled    *Measure           `json:"pooled,omitempty"` // on the rows of all other runs together
}

// maxResults bounds what is read of a results file: a sweep of 100 layers, 5
// sites and 10 kinds over 10 splits stays below 20 MB.
const maxResults = 64 << 20

// ReadTable reads DIR/results.json.
func ReadTable(dir string) (Table, error) {
	path := filepath.Join(dir, ResultsFile)
	data, err := smallfile.Read(path, maxResults)
	if err != nil {
		return Table{}, fmt.Errorf("read probe results: %w", err)
	}
	var t Table
	if err := json.Unmarshal(data, &t); err != nil {
		return Table{}, fmt.Errorf("read %s: %w", path, err)
	}
	return t, nil
}

// SplitNames lists the splits that probes were measured on: train, val, test
// first, others by name.
func (t Table) SplitNames() []string {
	seen := map[string]bool{}
	for _, p := range t.Probes {
		for name := range p.Splits {
			seen[name] = true
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	first := []string{"train", "val", "test"}
	slices.SortFunc(names, func(a, b string) int {
		i, j := slices.Index(first, a), slices.Index(first, b)
		if i >= 0 && j >= 0 {
			return i - j
		}
		if i != j {
			return j - i // a known name (index ≥ 0) before an unknown one (−1)
		}
		return strings.Compare(a, b)
	})
	return names
}

// Worst is the other run on which a probe's AUROC is least; "" where none has one.
func (t Table) Worst(p Probe) (name string) {
	for _, split := range t.Elsewhere {
		if m := p.Splits[split]; m.AUROC.Defined() && (name == "" || m.AUROC < p.Splits[name].AUROC) {
			name = split
		}
	}
	return name
}
