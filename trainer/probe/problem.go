package probe

import (
	"math"
	"slices"

	"actfleet/trainer/coder"
)

// problem is what a fit may look at: the vectors of the train rows, those of val to choose a penalty and to calibrate a
// score, and no others.
type problem struct {
	x     []float32 // [N, D], of all rows
	d     int
	rows  *Rows
	train []int
	val   []int
	c     Config

	scale scaling   // of the train rows, once standardised was called
	z     []float64 // [train, D]
}

func newProblem(rows *Rows, x []float32, d int, c Config) *problem {
	return &problem{x: x, d: d, rows: rows, train: rows.In(Train), val: rows.In(Val), c: c}
}

// fit fits a kind of probe and gives P(y=1) of all rows; nothing of one that did not converge.
func (p *problem) fit(name string) (Probe, []float64) {
	m, f := kinds[name].fit(p)
	f.Kind = name
	if !f.Converged {
		f.TrainLoss, f.ValLoss = 0, 0
		return Probe{Fit: f}, nil
	}
	proba := m.Proba(p.x)
	f.TrainLoss = logLoss(pick(proba, p.train), pick(p.rows.Label, p.train))
	f.ValLoss = logLoss(pick(proba, p.val), pick(p.rows.Label, p.val))
	return Probe{Fit: f, Model: m}, proba
}

// standardised are the train rows [n, D] with mean 0 and variance 1, shared by the kinds: not to be written.
func (p *problem) standardised() (scaling, []float64) {
	if p.z == nil {
		p.scale = newScaling(p.x, p.d, p.train)
		p.z = p.scale.apply(p.x, p.d, p.train)
	}
	return p.scale, p.z
}

// labels of the train rows.
func (p *problem) labels() []bool { return pick(p.rows.Label, p.train) }

// of are the vectors of some rows.
func (p *problem) of(rows []int) []float32 {
	out := make([]float32, 0, len(rows)*p.d)
	for _, i := range rows {
		out = append(out, p.x[i*p.d:(i+1)*p.d]...)
	}
	return out
}

// choose fits with every penalty, from the strongest on, and keeps the converged fit with the least loss on val.
func (p *problem) choose(penalties []float64, fit func(penalty float64) (Model, coder.Fit)) (best Model, card coder.Fit) {
	penalties = slices.Sorted(slices.Values(penalties))
	slices.Reverse(penalties)
	card.ValLoss = math.Inf(1)
	val := p.of(p.val)
	for _, l2 := range penalties {
		m, f := fit(l2)
		f.L2, f.ValLoss = l2, logLoss(m.Proba(val), pick(p.rows.Label, p.val))
		if f.Converged && (!card.Converged || f.ValLoss < card.ValLoss) || !f.Converged && !card.Converged {
			best, card = m, f
		}
	}
	return best, card
}

// logLoss is the mean of −log P(y).
func logLoss(p []float64, label []bool) (sum float64) {
	for i, s := range p {
		if !label[i] {
			s = 1 - s
		}
		sum -= math.Log(max(s, 1e-300))
	}
	return sum / float64(len(p))
}

// calibrated turns a score w·x whose zero and scale mean nothing into log-odds: a·w·x + c, by logistic regression on the
// scores of the val rows with a penalty of one row's weight. a is never below 0: which end is true the train rows say.
func (p *problem) calibrated(w []float64) *Linear {
	score := newLinear(w, 0).Scores(p.of(p.val))
	mean, std := moments(score)
	for i := range score {
		score[i] = (score[i] - mean) / std
	}
	n := len(score)
	theta := make([]float64, 2)
	newMargin(score, n, 1, pick(p.rows.Label, p.val), logisticLoss).minimise(1/float64(n), theta, calibrationSteps)
	const flat = 1e-6
	a := max(theta[0], flat) / std
	out := newLinear(make([]float64, len(w)), theta[1]-a*mean)
	for j, v := range w {
		out.W[j] = a * v
	}
	return out
}

const calibrationSteps = 100

// moments are the mean and the standard deviation, 1 where that is 0.
func moments(v []float64) (mean, std float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	for _, x := range v {
		std += (x - mean) * (x - mean) / float64(len(v))
	}
	if std = math.Sqrt(std); !(std > 0) {
		std = 1
	}
	return mean, std
}
