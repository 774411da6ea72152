package probe

import "math"

// scaling is the mean and standard deviation of every feature of the train rows.
type scaling struct{ mean, std []float64 }

func newScaling(x []float32, d int, rows []int) scaling {
	s := scaling{make([]float64, d), make([]float64, d)}
	for _, i := range rows {
		for j, v := range x[i*d : (i+1)*d] {
			s.mean[j] += float64(v)
		}
	}
	n := float64(len(rows))
	for j := range s.mean {
		s.mean[j] /= n
	}
	for _, i := range rows {
		for j, v := range x[i*d : (i+1)*d] {
			c := float64(v) - s.mean[j]
			s.std[j] += c * c
		}
	}
	for j := range s.std {
		s.std[j] = math.Sqrt(s.std[j] / n)
		if s.std[j] <= 1e-9*math.Abs(s.mean[j]) || s.std[j] == 0 {
			s.std[j] = 1 // a constant feature: z is 0 and so is its weight
		}
	}
	return s
}

// apply is the standardised rows.
func (s scaling) apply(x []float32, d int, rows []int) []float64 {
	z := make([]float64, len(rows)*d)
	for r, i := range rows {
		for j, v := range x[i*d : (i+1)*d] {
			z[r*d+j] = (float64(v) - s.mean[j]) / s.std[j]
		}
	}
	return z
}

// fold turns θ over z into (w, b) over x.
func (s scaling) fold(theta []float64) (w []float64, b float64) {
	d := len(s.mean)
	w, b = make([]float64, d), theta[d]
	for j := range w {
		w[j] = theta[j] / s.std[j]
		b -= w[j] * s.mean[j]
	}
	return w, b
}
