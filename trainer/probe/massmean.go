package probe

import "actfleet/trainer/coder"

func fitMassMean(p *problem) (Model, coder.Fit) { return massMean(p.x, p.d, p.train, p.rows.Label) }

// massMean is the difference of the class means, with the threshold midway.
func massMean(x []float32, d int, rows []int, label []bool) (*Linear, coder.Fit) {
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
	v := spread(x, d, rows, label, theta, mid, gap)
	if v <= 0 {
		v = 1
	}
	for j := range theta {
		theta[j] *= gap / v
	}
	return newLinear(theta, -mid*gap/v), coder.Fit{Converged: gap > 0}
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

// leastVariance is the variance below which a direction is none, as in the paper's code.
const leastVariance = 1e-3

// fitMassMeanIID is w = Σ⁺(μ₁−μ₀) with the pooled covariance Σ = (1/n) Σ (x−μ_c)(x−μ_c)ᵀ and the threshold midway: the
// form for test rows of the train rows' distribution (Marks and Tegmark 2023, arXiv:2310.06824).
func fitMassMeanIID(p *problem) (Model, coder.Fit) {
	r, mean, _ := p.centred()
	theta, middle := make([]float64, p.d), make([]float64, p.d)
	for j := range theta {
		theta[j] = mean[1][j] - mean[0][j]
		middle[j] = (mean[1][j] + mean[0][j]) / 2
	}
	value, direction := spectrum(r, len(p.train), p.d)
	w := inverse(value, direction, theta, func(v float64) float64 {
		if v <= leastVariance {
			return 0
		}
		return 1 / v
	})
	return newLinear(w, -dot(w, middle)), coder.Fit{Converged: largest(w) > 0}
}
