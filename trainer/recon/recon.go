package recon

import "math"

// Sums accumulates rows. The zero Sums is empty and takes the width of the first
// row added.
type Sums struct {
	N                  int64
	xx, rr, hh, xh     float64 // Σ‖x‖², Σ‖r‖², Σ‖x̂‖², Σ⟨x,x̂⟩
	cosine, l2, legacy float64
	nonzero            int64 // rows with x ≠ 0, which have a cosine and an l2 ratio
	legacyRows         int64
	sumX, sumR         []float64 // [D]
}

// Add accumulates n rows of x and their reconstructions, both [n, D] row-major.
func (s *Sums) Add(x, xhat []float32, n int) {
	if n == 0 {
		return
	}
	d := len(x) / n
	if s.sumX == nil {
		s.sumX, s.sumR = make([]float64, d), make([]float64, d)
	}
	mean := batchMean(x, n, d)
	for i := range n {
		s.addRow(x[i*d:(i+1)*d], xhat[i*d:(i+1)*d], mean)
	}
	s.N += int64(n)
}

func batchMean(x []float32, n, d int) []float64 {
	mean := make([]float64, d)
	for i, v := range x {
		mean[i%d] += float64(v)
	}
	for j := range mean {
		mean[j] /= float64(n)
	}
	return mean
}

func (s *Sums) addRow(x, xhat []float32, mean []float64) {
	var xx, rr, hh, xh, centred float64
	for j, v := range x {
		a, h := float64(v), float64(xhat[j])
		r, c := a-h, a-mean[j]
		xx += a * a
		rr += r * r
		hh += h * h
		xh += a * h
		centred += c * c
		s.sumX[j] += a
		s.sumR[j] += r
	}
	s.xx, s.rr, s.hh, s.xh = s.xx+xx, s.rr+rr, s.hh+hh, s.xh+xh
	if xx > 0 {
		s.nonzero++
		s.l2 += math.Sqrt(hh / xx)
		if hh > 0 {
			s.cosine += xh / math.Sqrt(xx*hh)
		}
	}
	if centred > 0 {
		s.legacyRows++
		s.legacy += 1 - rr/centred
	}
}

// Join adds the rows of b.
func (s *Sums) Join(b *Sums) {
	if b.N == 0 {
		return
	}
	if s.N == 0 {
		s.sumX, s.sumR = make([]float64, len(b.sumX)), make([]float64, len(b.sumR))
	}
	s.N, s.nonzero, s.legacyRows = s.N+b.N, s.nonzero+b.nonzero, s.legacyRows+b.legacyRows
	s.xx, s.rr, s.hh, s.xh = s.xx+b.xx, s.rr+b.rr, s.hh+b.hh, s.xh+b.xh
	s.cosine, s.l2, s.legacy = s.cosine+b.cosine, s.l2+b.l2, s.legacy+b.legacy
	for j, v := range b.sumX {
		s.sumX[j] += v
		s.sumR[j] += b.sumR[j]
	}
}

// FVU is Σ‖r‖² / Σ‖x−μ‖².
func (s *Sums) FVU() float64 { return s.rr / s.variance(s.xx, s.sumX) }

// SquaredError is Σ‖r‖².
func (s *Sums) SquaredError() float64 { return s.rr }

// variance is Σ‖v‖² − ‖Σv‖²/N, the squared deviation from the mean.
func (s *Sums) variance(square float64, sum []float64) float64 {
	var m float64
	for _, v := range sum {
		m += v * v
	}
	return square - m/float64(s.N)
}

// Metrics is every number of the package doc.
func (s *Sums) Metrics() map[string]float64 {
	fvu := s.FVU()
	return map[string]float64{
		"fvu":           fvu,
		"ev":            1 - fvu,
		"ev_legacy":     s.legacy / float64(s.legacyRows),
		"fve_var":       1 - s.variance(s.rr, s.sumR)/s.variance(s.xx, s.sumX),
		"cosine":        s.cosine / float64(s.nonzero),
		"l2_ratio":      s.l2 / float64(s.nonzero),
		"relative_bias": s.hh / s.xh,
	}
}
