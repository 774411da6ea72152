package optim

import "math"

// Schedule is the factor of the learning rate before step (counted from 0) of
// total: a linear rise over warmup steps, 1, and a fall to 0 over the last decay
// steps, linear or along half a cosine. A total of 0 has no fall.
func Schedule(step, total, warmup, decay int, cosine bool) float64 {
	f := 1.0
	if step < warmup {
		f = float64(step+1) / float64(warmup)
	}
	if left := total - step; total > 0 && left < decay {
		fall := float64(left) / float64(decay)
		if cosine {
			fall = (1 - math.Cos(math.Pi*fall)) / 2
		}
		f = min(f, fall)
	}
	return f
}
