package evaluate

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// ErrUnsound marks a table whose numbers must not be quoted.
var ErrUnsound = errors.New("unsound probe results")

// Chosen is the probe that was declared primary, else the one with the highest AUROC on the validation split, among the
// converged ones: the one cell that may be quoted for the other splits. It is
// false without a validation split, or where the primary one did not converge.
func (t Table) Chosen() (Probe, bool) {
	if t.Primary != "" {
		i := slices.IndexFunc(t.Probes, func(p Probe) bool { return p.ID == t.Primary })
		if i < 0 || !t.Probes[i].Converged {
			return Probe{}, false
		}
		return t.Probes[i], true
	}
	best, at := math.Inf(-1), -1
	for i, p := range t.Probes {
		m, ok := p.Splits["val"]
		if ok && p.Converged && m.AUROC.Defined() && float64(m.AUROC) > best {
			best, at = float64(m.AUROC), i
		}
	}
	if at < 0 {
		return Probe{}, false
	}
	return t.Probes[at], true
}

// Check returns nil when the table may be quoted, else an ErrUnsound that lists
// every reason: no baselines, splits with the same rows, cells without groups
// or intervals. Probes that did not converge are no reason: their cells are
// withheld one by one.
func (t Table) Check() error {
	var why []string
	if len(t.Probes) == 0 {
		why = append(why, "no probes")
	}
	if t.Target == "" {
		why = append(why, "it does not say what the label means")
	}
	for _, split := range t.SplitNames() {
		if split != "train" && split != "val" {
			why = append(why, t.missingBaselines(split)...)
		}
	}
	why = append(why, t.equalSplits()...)
	why = append(why, t.bareCells()...)
	if len(why) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrUnsound, strings.Join(why, "; "))
}

func (t Table) missingBaselines(split string) (why []string) {
	for _, name := range []string{BaselineMajority, BaselineRandom} {
		if !slices.ContainsFunc(t.Baselines, func(b Baseline) bool { return b.Split == split && strings.HasPrefix(b.Name, name) }) {
			why = append(why, fmt.Sprintf("split %q has no %s baseline", split, name))
		}
	}
	return why
}

func (t Table) equalSplits() (why []string) {
	names := make([]string, 0, len(t.Fingerprints))
	for name := range t.Fingerprints {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, a := range names {
		for _, b := range names[i+1:] {
			if t.Fingerprints[a] == t.Fingerprints[b] {
				why = append(why, fmt.Sprintf("splits %q and %q hold the same rows", a, b))
			}
		}
	}
	return why
}

func (t Table) bareCells() (why []string) {
	ungrouped, bare := 0, 0
	for _, p := range t.Probes {
		for _, m := range p.Splits {
			if m.Groups == 0 {
				ungrouped++
			}
			if m.AUROC.Defined() && !(m.AUROCLo.Defined() && m.AUROCHi.Defined()) {
				bare++
			}
		}
	}
	if ungrouped > 0 {
		why = append(why, fmt.Sprintf("%d cells without groups", ungrouped))
	}
	if bare > 0 {
		why = append(why, fmt.Sprintf("%d cells without intervals", bare))
	}
	return why
}
