package probe

// massMean is the difference of the class means, with the threshold midway.
func massMean(x []float32, d int, rows []int, label []bool) fit {
	var mean [2][]float64
	var n [2]float64
	for c := range mean {
		mean[c] = make([]float64, d)
	}
	for _, i := range rows {
		c := class(label[i])
		n[c]++
		for j, v := range x[i*d : (i+1)*d] {
			mean[c][j] += float64(v)
		}
	}
	theta := make([]float64, d)
	var mid, gap float64 // θ·(μ₁+μ₀)/2 and ‖θ‖²
	for j := range theta {
		a, b := mean[0][j]/n[0], mean[1][j]/n[1]
		theta[j] = b - a
		mid += theta[j] * (a + b) / 2
		gap += theta[j] * theta[j]
	}
	f := fit{w: theta, converged: gap > 0}
	v := spread(x, d, rows, label, theta, mid, gap)
	if v <= 0 {
		v = 1
	}
	for j := range f.w {
		f.w[j] *= gap / v
	}
	f.b = -mid * gap / v
	return f
}

// spread is the pooled variance of θ·x around the class means, which project to
// mid ± gap/2.
func spread(x []float32, d int, rows []int, label []bool, theta []float64, mid, gap float64) float64 {
	var sum float64
	for _, i := range rows {
		c := project(x[i*d:(i+1)*d], theta) - mid - gap*(float64(class(label[i]))-0.5)
		sum += c * c
	}
	return sum / float64(len(rows))
}

func project(x []float32, w []float64) (sum float64) {
	for j, v := range x {
		sum += float64(v) * w[j]
	}
	return sum
}
