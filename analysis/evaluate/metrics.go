package evaluate

import "math"

// Accuracy is the share of rows whose score is on the label's side of the
// threshold (a score above it says positive). NaN without rows.
func Accuracy(scores []float64, positive []bool, threshold float64) float64 {
	if len(scores) == 0 {
		return math.NaN()
	}
	right := 0
	for _, ok := range correct(scores, positive, threshold) {
		if ok {
			right++
		}
	}
	return float64(right) / float64(len(scores))
}

func correct(scores []float64, positive []bool, threshold float64) []bool {
	ok := make([]bool, len(scores))
	for i, s := range scores {
		ok[i] = !math.IsNaN(s) && (s > threshold) == positive[i]
	}
	return ok
}

// ECE is the expected calibration error over bins of equal mass: the mean over
// rows of |mean probability − share of positives| of the row's bin. Equal
// probabilities are never divided between bins, so that the value does not
// depend on the order of the rows. NaN without rows or when a score is not a
// probability.
func ECE(probability []float64, positive []bool, bins int) float64 {
	n := len(probability)
	if n == 0 || bins < 1 {
		return math.NaN()
	}
	order := ascending(probability)
	var gap, sum, hits float64
	full := false // the bin has its rows and closes with the tie block
	for i, j := range order {
		p := probability[j]
		if !(p >= 0 && p <= 1) {
			return math.NaN()
		}
		sum += p
		if positive[j] {
			hits++
		}
		full = full || (i+1)*bins/n != i*bins/n // row i belongs to bin floor(i·bins/n)
		tied := i+1 < n && probability[order[i+1]] == p
		if i+1 == n || full && !tied {
			gap += math.Abs(sum - hits)
			sum, hits, full = 0, 0, false
		}
	}
	return gap / float64(n)
}

// RecallAtFPR is the largest share of positives above a threshold that lets at
// most the share fpr of the negatives through. NaN when a class is empty.
func RecallAtFPR(scores []float64, positive []bool, fpr float64) float64 {
	r := rank(scores, positive, nil)
	pos, neg := 0, 0
	for _, p := range positive {
		if p {
			pos++
		} else {
			neg++
		}
	}
	if pos == 0 || neg == 0 || r.undef {
		return math.NaN()
	}
	best, hits, alarms := 0, 0, 0
	for i := len(r.positive) - 1; i >= 0; i-- {
		if r.positive[i] {
			hits++
		} else {
			alarms++
		}
		blockStarts := i == 0 || r.tieEnd[i-1]
		if blockStarts && float64(alarms) <= fpr*float64(neg) {
			best = hits
		}
	}
	return float64(best) / float64(pos)
}
