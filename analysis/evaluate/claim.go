package evaluate

import (
	"fmt"
	"math"
	"slices"
)

// Claim is whether one probe beats the strongest baseline on one split. It is marked only where nothing speaks against it.
type Claim struct {
	Probe    string `json:"probe"` // its id
	Split    string `json:"split"`
	Declared bool   `json:"declared"` // the cell was named before anything was fitted; else val chose it
	Against  string `json:"against"`  // the baseline with the greatest AUROC on the split

	AUROC        Value   `json:"auroc_difference"` // probe less baseline
	Lo           Value   `json:"lo"`               // paired, groups resampled
	Hi           Value   `json:"hi"`
	OnlyProbe    int     `json:"only_probe"` // rows that it alone has on the right side
	OnlyBaseline int     `json:"only_baseline"`
	McNemar      Value   `json:"mcnemar_p"`
	P            Value   `json:"p"`      // two-sided, of the difference
	Cells        int     `json:"cells"`  // of the split that were looked at
	Adjusted     Value   `json:"p_holm"` // of a cell that was not declared: corrected for all of them
	Seeds        []Value `json:"seeds"`  // the difference with every seed, this one's first
	Marked       bool    `json:"marked"`
	Why          string  `json:"why,omitempty"` // why it is not
}

// Level at which a claim is marked, and the seeds it needs.
const (
	claimLevel  = 0.05
	SeedsNeeded = 3
)

// NewClaim compares the scores of a probe with those of a baseline on the same rows. cells are the uncorrected p values of
// all cells of the split, that of the probe at index own.
func NewClaim(c Claim, probe, baseline Sample, cells []float64, own int, o Options) Claim {
	o = o.withDefaults()
	d := o.Bootstrap.Compare(probe.Score, baseline.Score, probe.Positive, groupsOf(probe), o.Threshold)
	c.AUROC, c.Lo, c.Hi = Value(d.AUROC), Value(d.Interval.Lo), Value(d.Interval.Hi)
	c.OnlyProbe, c.OnlyBaseline, c.McNemar = d.OnlyA, d.OnlyB, Value(d.McNemarP)
	c.P = Value(pOf(d.AUROC, d.Interval, o.Level))
	c.Cells, c.Adjusted = len(cells), c.P
	if !c.Declared && own >= 0 {
		c.Adjusted = max(c.P, Value(Holm(cells)[own]))
	}
	c.Seeds = append([]Value{c.AUROC}, c.Seeds...)
	c.Why = c.against()
	c.Marked = c.Why == ""
	return c
}

// against is what speaks against the claim; "" where nothing does.
func (c Claim) against() string {
	switch {
	case !c.AUROC.Defined() || !c.Lo.Defined():
		return "there is no AUROC to compare"
	case !(c.Lo > 0):
		return fmt.Sprintf("it is not above %s: the interval of the difference holds 0", c.Against)
	case !(c.Adjusted < claimLevel):
		return fmt.Sprintf("p is %.3f after correction for %d cells", c.Adjusted, c.Cells)
	case len(c.Seeds) < SeedsNeeded:
		return fmt.Sprintf("%d of %d seeds; add --set seeds=%d", len(c.Seeds), SeedsNeeded, SeedsNeeded)
	case slices.ContainsFunc(c.Seeds, func(v Value) bool { return !(v > 0) }):
		return "it is not above the strongest baseline with every seed"
	}
	return ""
}

// String is the claim as one line.
func (c Claim) String() string {
	how := "chosen on val"
	if c.Declared {
		how = "declared before"
	}
	verdict := "holds"
	if !c.Marked {
		verdict = "is not made: " + c.Why
	}
	return fmt.Sprintf("%s (%s) less %s on %s: AUROC %+.3f (%s), McNemar p %.2g, p %.2g over %d cells; the claim that it is better %s",
		c.Probe, how, c.Against, c.Split, c.AUROC, Interval{float64(c.Lo), float64(c.Hi)}, c.McNemar, c.Adjusted, c.Cells, verdict)
}

// pOf is the two-sided p value of a difference whose interval is taken for a normal one's.
func pOf(difference float64, i Interval, level float64) float64 {
	se := (i.Hi - i.Lo) / (2 * zOf(level))
	switch {
	case !i.Defined() || math.IsNaN(difference):
		return math.NaN()
	case se == 0 && difference == 0:
		return 1
	}
	return math.Erfc(math.Abs(difference) / se / math.Sqrt2)
}

// CellP is, of every converged probe of the table on a split, the two-sided p value of its AUROC being a fixed baseline's,
// from its own interval; of others NaN.
func (t Table) CellP(split string, baseline float64) []float64 {
	p := make([]float64, len(t.Probes))
	for i, probe := range t.Probes {
		m, ok := probe.Splits[split]
		if p[i] = math.NaN(); ok && probe.Converged {
			p[i] = pOf(float64(m.AUROC)-baseline, Interval{float64(m.AUROCLo), float64(m.AUROCHi)}, 0.95)
		}
	}
	return p
}

// Holm corrects p values for their number (Holm 1979); those that are no number do not count and stay.
func Holm(p []float64) []float64 {
	var order []int
	for i, v := range p {
		if !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case p[a] < p[b]:
			return -1
		case p[a] > p[b]:
			return 1
		}
		return 0
	})
	out, most := slices.Clone(p), 0.0
	for rank, i := range order {
		most = max(most, min(1, p[i]*float64(len(order)-rank)))
		out[i] = most
	}
	return out
}

// Strongest is the baseline of a split that gives every row a score and has the greatest AUROC; false without one.
func (t Table) Strongest(split string) (best Baseline, ok bool) {
	for _, b := range t.Baselines {
		scored := b.Name != BaselineMajority && b.Name != BaselineRandom && b.Name != BaselineShuffled
		if b.Split == split && scored && b.AUROC.Defined() && (!ok || b.AUROC > best.AUROC) {
			best, ok = b, true
		}
	}
	return best, ok
}
