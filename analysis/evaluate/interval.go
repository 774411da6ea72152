package evaluate

import (
	"fmt"
	"math"
)

// Interval is a confidence interval; both ends are NaN where it is undefined.
type Interval struct{ Lo, Hi float64 }

// Undefined is the interval of a number that has none.
var Undefined = Interval{math.NaN(), math.NaN()}

// Contains tells whether v lies in the interval, ends included.
func (i Interval) Contains(v float64) bool { return i.Lo <= v && v <= i.Hi }

// Defined tells whether both ends are numbers.
func (i Interval) Defined() bool { return !math.IsNaN(i.Lo) && !math.IsNaN(i.Hi) }

// String renders the interval as "0.812–0.903".
func (i Interval) String() string {
	if !i.Defined() {
		return "undefined"
	}
	return fmt.Sprintf("%.3f–%.3f", i.Lo, i.Hi)
}

// include widens the interval to hold v.
func (i Interval) include(v float64) Interval {
	return Interval{math.Min(i.Lo, v), math.Max(i.Hi, v)}
}

// Wilson is the score interval of a proportion with hits of n at the given
// level, such as 0.95 (Wilson 1927). n need not be whole: see ClusteredWilson.
func Wilson(hits, n, level float64) Interval {
	if n <= 0 {
		return Undefined
	}
	z := zOf(level)
	p, z2 := hits/n, z*z
	centre := (p + z2/(2*n)) / (1 + z2/n)
	half := z / (1 + z2/n) * math.Sqrt(p*(1-p)/n+z2/(4*n*n))
	return Interval{math.Max(0, centre-half), math.Min(1, centre+half)}.include(p)
}

// ClusteredWilson is the Wilson interval of the share of true values when rows
// of one group are alike: n is divided by the design effect, the ratio of the
// between-groups variance of the share to that of independent rows (Kish 1965;
// Korn and Graubard 1998 do so with the Clopper-Pearson interval). The design
// effect is never taken below one, and where the share is 0 or 1, which leaves
// it unknown, n is the number of groups.
func ClusteredWilson(hit []bool, group []int32, level float64) Interval {
	n := float64(len(hit))
	if n == 0 {
		return Undefined
	}
	p, groups := 0.0, int32(0)
	for i, h := range hit {
		if h {
			p += 1 / n
		}
		groups = max(groups, group[i]+1)
	}
	p = math.Min(p, 1)
	eff := n / designEffect(hit, group, int(groups), p)
	return Wilson(p*eff, eff, level)
}

func designEffect(hit []bool, group []int32, groups int, p float64) float64 {
	n := float64(len(hit))
	if p < 1/(2*n) || p > 1-1/(2*n) || groups < 2 {
		return n / float64(max(groups, 1))
	}
	residual := make([]float64, groups)
	for i, h := range hit {
		if h {
			residual[group[i]] += 1 - p
		} else {
			residual[group[i]] -= p
		}
	}
	sum := 0.0
	for _, r := range residual {
		sum += r * r
	}
	g := float64(groups)
	return math.Min(math.Max(1, g/(g-1)*sum/(n*p*(1-p))), n)
}

// PerfectAUROC is the interval of an AUROC of exactly 0 or 1, where every
// resample is perfect too and the bootstrap would claim certainty. It is the
// score interval of Hanley and McNeil's variance (1982) in the form of Newcombe
// (2006), with pos and neg the numbers of groups that hold each class.
func PerfectAUROC(auroc float64, pos, neg int, level float64) Interval {
	if pos < 1 || neg < 1 {
		return Undefined
	}
	lo, hi, z := 0.0, 1.0, zOf(level)
	for range 60 { // bisection on 1−θ = z·sqrt(Var θ): the left side falls faster
		mid := (lo + hi) / 2
		if 1-mid > z*math.Sqrt(hanleyMcNeil(mid, float64(pos), float64(neg))) {
			lo = mid
		} else {
			hi = mid
		}
	}
	if auroc == 0 {
		return Interval{0, 1 - hi}
	}
	return Interval{lo, 1}
}

func hanleyMcNeil(t, m, n float64) float64 {
	nStar := (m+n)/2 - 1
	return t * (1 - t) * (1 + nStar*((1-t)/(2-t)+t/(1+t))) / (m * n)
}

// zOf is the two-sided standard normal quantile of a level.
func zOf(level float64) float64 { return math.Sqrt2 * math.Erfinv(level) }
