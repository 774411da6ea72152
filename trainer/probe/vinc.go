package probe

import (
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"actfleet/trainer/coder"
)

// vincCross weighs the covariance between the two of a pair against the variance within a group, as EleutherAI's elk does;
// the variance between groups, which elk leaves at 0, is not offered.
const vincCross = 0.5

// fitVINC is the direction that varies least between the pairs of one group (paraphrases) and whose two ends of a pair are
// the most opposed: the first eigenvector of −(1−α)Σ_intra − αΣ_cross over standardised rows without their polarity
// (VINC, EleutherAI's elk; where every group is one pair it is their CRC). Labels of train rows say its sign.
func fitVINC(p *problem) (Model, coder.Fit) {
	r, e := p.erased()
	m := vinc(r, p.d, p.pairs(), pick(p.rows.Group, p.train))
	var eig mat.EigenSym
	if !eig.Factorize(m, true) {
		return newLinear(make([]float64, p.d), 0), coder.Fit{}
	}
	var vectors mat.Dense
	eig.VectorsTo(&vectors)
	w, _ := p.scale.fold(append(e.before(mat.Col(nil, p.d-1, &vectors)), 0))
	return p.calibrated(p.oriented(w)), coder.Fit{Converged: largest(w) > 0}
}

// vinc is −(1−α)Σ_intra − αΣ_cross of rows r [n, d]: Σ_intra the covariance of either side of the pairs around the mean
// of their group, Σ_cross the symmetric part of the covariance, over groups, of the means of the two sides.
func vinc(r []float64, d int, pairs [][2]int, group []string) *mat.SymDense {
	mean, count, total := groupMeans(r, d, pairs, group)
	m := mat.NewSymDense(d, nil)
	c := make([]float64, d)
	for _, ab := range pairs {
		g := group[ab[0]]
		for side, i := range ab {
			for j := range c {
				c[j] = r[i*d+j] - mean[g][side][j]
			}
			blas64.Syr(-(1-vincCross)/float64(2*len(pairs)), vector(c), m.RawSymmetric())
		}
	}
	a, b := make([]float64, d), make([]float64, d)
	for _, ab := range pairs { // each group once
		g := group[ab[0]]
		if count[g] == 0 {
			continue
		}
		for j := range a {
			a[j], b[j] = mean[g][0][j]-total[0][j], mean[g][1][j]-total[1][j]
		}
		blas64.Syr2(-vincCross/2/float64(len(mean)), vector(a), vector(b), m.RawSymmetric())
		count[g] = 0
	}
	return m
}

// groupMeans are the means of both sides of the pairs of each group, the number of its pairs, and the means of the means.
func groupMeans(r []float64, d int, pairs [][2]int, group []string) (mean map[string]*[2][]float64, count map[string]float64, total [2][]float64) {
	mean, count, total = map[string]*[2][]float64{}, map[string]float64{}, [2][]float64{make([]float64, d), make([]float64, d)}
	var order []string // sums in the order of the rows
	for _, ab := range pairs {
		g := group[ab[0]]
		if mean[g] == nil {
			mean[g] = &[2][]float64{make([]float64, d), make([]float64, d)}
			order = append(order, g)
		}
		for side, i := range ab {
			blas64.Axpy(1, vector(r[i*d:(i+1)*d]), vector(mean[g][side]))
		}
		count[g]++
	}
	for _, g := range order {
		for side := range 2 {
			blas64.Scal(1/count[g], vector(mean[g][side]))
			blas64.Axpy(1/float64(len(order)), vector(mean[g][side]), vector(total[side]))
		}
	}
	return mean, count, total
}
