package evaluate

import "math"

// McNemar is the exact two-sided p value of the hypothesis that two probes are
// right equally often on the same rows: of the b+c rows where exactly one is
// right, each side is as likely as the other (McNemar 1947, exact binomial
// form). onlyA and onlyB count those rows. Rows are taken as independent.
func McNemar(onlyA, onlyB int) float64 {
	n, k := onlyA+onlyB, min(onlyA, onlyB)
	if n == 0 {
		return 1
	}
	tail, logHalf := 0.0, float64(n)*math.Log(0.5)
	for i := 0; i <= k; i++ {
		tail += math.Exp(logChoose(n, i) + logHalf)
	}
	return math.Min(1, 2*tail)
}

func logChoose(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}

// Difference compares two probes, A and B, on the same rows.
type Difference struct {
	AUROC     float64  // A − B
	Interval  Interval // paired clustered percentile interval of AUROC
	OnlyA     int      // rows that only A gets right
	OnlyB     int      // rows that only B gets right
	McNemarP  float64  // exact McNemar p of those rows
	Threshold float64  // decision threshold behind OnlyA and OnlyB
}

// Compare measures A − B with the groups resampled together, so that what both
// find hard cancels out. a and b hold the scores of the same rows.
func (b Bootstrap) Compare(scoresA, scoresB []float64, positive []bool, group []int32, threshold float64) Difference {
	b = b.withDefaults()
	ra, rb := rank(scoresA, positive, group), rank(scoresB, positive, group)
	d := Difference{AUROC: ra.auroc(nil) - rb.auroc(nil), Threshold: threshold, Interval: Undefined}
	if !math.IsNaN(d.AUROC) {
		values := b.Each(countGroups(group), func(count []int32) float64 { return ra.auroc(count) - rb.auroc(count) })
		d.Interval = percentile(values, b.Level).include(d.AUROC)
	}
	okA, okB := correct(scoresA, positive, threshold), correct(scoresB, positive, threshold)
	for i := range okA {
		switch {
		case okA[i] && !okB[i]:
			d.OnlyA++
		case okB[i] && !okA[i]:
			d.OnlyB++
		}
	}
	d.McNemarP = McNemar(d.OnlyA, d.OnlyB)
	return d
}
