package calibrate

import (
	"math"
	"slices"
)

// Threshold is the least score t for which, with the given confidence, at most the share fpr of rows of label 0 lie above t:
// an order statistic of the negatives (Wilks 1941). Without enough negatives it is +Inf; NegativesNeeded says how many.
func Threshold(score []float64, positive []bool, fpr, confidence float64) float64 {
	var negatives []float64
	for i, s := range score {
		if !positive[i] {
			negatives = append(negatives, s)
		}
	}
	slices.Sort(negatives)
	above := -1 // negatives that may lie above t
	for cdf, k := 0.0, 0; k < len(negatives); k++ {
		if cdf += binomial(len(negatives), k, fpr); cdf > 1-confidence {
			break
		}
		above = k
	}
	if above < 0 {
		return math.Inf(1)
	}
	return negatives[len(negatives)-1-above]
}

// NegativesNeeded is the least number of negatives for which Threshold is finite.
func NegativesNeeded(fpr, confidence float64) int {
	return int(math.Ceil(math.Log(1-confidence) / math.Log1p(-fpr)))
}

// binomial is the probability of k of n.
func binomial(n, k int, p float64) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return math.Exp(a - b - c + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}
