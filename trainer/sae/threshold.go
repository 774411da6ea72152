package sae

import (
	"math"
	"slices"
)

// fitted is a variant with one threshold for all latents, which is fitted to rows.
type fitted interface{ setTheta(theta float64) }

// slack is the share of K·n by which the number of active latents may differ, so that the threshold can lie in a gap:
// between two values that are nearly alike, rounding would decide.
const slack = 0.005

// threshold is what K·n pre-activations of n rows x [n, Row] are above, up to slack; 0 where fewer are positive.
func threshold(m *Model, x []float32, n int) (float32, error) {
	n = min(n, math.MaxUint32/m.M)
	around := max(int(slack*float64(m.K*n)), 1)
	s := newSelector(m.K*n + around + 1)
	var c Codes
	floor := float32(0)
	for lo := 0; lo < n; lo += chunkRows {
		rows := min(chunkRows, n-lo)
		z := make([]float32, rows*m.D)
		m.centre(z, x[lo*m.Row():(lo+rows)*m.Row()], rows)
		if err := m.encode(z, rows, &c, func(pre []float32) { floor = s.more(pre, lo*m.M, floor) }); err != nil {
			return 0, err
		}
	}
	if len(s.cand) > s.k {
		s.shrink()
	}
	slices.Sort(s.cand) // by value
	return widestGap(s.cand, m.K*n, around), nil
}

// widestGap is the middle of the widest gap below about the k-th greatest of sorted candidates; 0 where there are not k.
func widestGap(sorted []uint64, k, around int) (theta float32) {
	at := len(sorted) - k
	if at <= 0 {
		return 0
	}
	widest := float32(-1)
	for i := max(at-around, 1); i <= min(at+around, len(sorted)-1); i++ {
		below, above := candidateValue(sorted[i-1]), candidateValue(sorted[i])
		if above-below > widest {
			theta, widest = below+(above-below)/2, above-below
		}
	}
	return theta
}
