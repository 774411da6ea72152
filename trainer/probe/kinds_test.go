package probe

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// pairedData is n pairs of rows, two to a group: the truth lies along one direction, the polarity along another, and what
// they are about is shared by a pair. Of 5 groups 3 are for training.
func pairedData(n, width int) (Rows, []float32) {
	r := rand.New(rand.NewPCG(7, 7))
	rows := Rows{Pair: []string{}, Polarity: []bool{}}
	var x []float32
	for k := range n {
		topic := make([]float64, width)
		for j := range topic {
			topic[j] = r.NormFloat64()
		}
		first := r.IntN(2)
		for q := range 2 {
			truth := first ^ q
			rows.Row = append(rows.Row, int64(2*k+q))
			rows.Label, rows.Polarity = append(rows.Label, truth == 1), append(rows.Polarity, q == 1)
			rows.Pair, rows.Group = append(rows.Pair, fmt.Sprint("p", k)), append(rows.Group, fmt.Sprint("g", k/2))
			rows.Split = append(rows.Split, []string{Train, Train, Train, Val, Test}[k/2%5])
			for j := range width {
				v := topic[j] + 0.7*r.NormFloat64() + 4*(float64(truth)-0.5)*float64(direction(j)) + 3*float64(q)*math.Cos(float64(j))
				x = append(x, float32(v))
			}
		}
	}
	return rows, x
}

// fitPairs fits probes on pairs and returns their rows' vectors [N, D] as well.
func fitPairs(t testing.TB, c Config) (*Report, []float32) {
	t.Helper()
	rows, x := pairedData(150, width)
	rep := &Report{Rows: rows}
	p := newProblem(&rep.Rows, x, width, c)
	for _, name := range c.Kinds {
		q, scores := p.fit(name)
		q.ID, q.Column, q.D = name+"_fc2_1", "fc2_1", width
		rep.Probes, rep.Scores = append(rep.Probes, q), append(rep.Scores, scores)
	}
	return rep, x
}

// Every kind finds what is planted, says the same of a row whatever stands beside it, and is the same the second time.
func TestEveryKind(t *testing.T) {
	c := config()
	c.Kinds, c.Hidden, c.K, c.Seed = Kinds(), 4, 6, 5
	rep, x := fitPairs(t, c)
	again, _ := fitPairs(t, c)
	for i, p := range rep.Probes {
		if !p.Converged {
			t.Errorf("%s did not converge: %+v", p.Kind, p.Fit)
			continue
		}
		if acc := accuracy(rep, rep.Scores[i], Test); acc < 0.85 {
			t.Errorf("%s: accuracy %.2f on test", p.Kind, acc)
		}
		if p.ValLoss > 0.5 || math.IsNaN(p.TrainLoss) {
			t.Errorf("%s: losses %v and %v", p.Kind, p.TrainLoss, p.ValLoss)
		}
		if !slices.Equal(rep.Scores[i], again.Scores[i]) {
			t.Errorf("%s differs the second time", p.Kind)
		}
		scores := p.Scores(x)
		for j, s := range p.Proba(x[:5*width]) {
			if s != rep.Scores[i][j] || math.Abs(s-sigmoid(scores[j])) > 1e-12 {
				t.Errorf("%s: row %d is %v alone and %v among others", p.Kind, j, s, rep.Scores[i][j])
			}
		}
	}
}

// The first row's log-odds of each kind, as TestPeers has found right beside scikit-learn and numpy.
func TestGolden(t *testing.T) {
	c := config()
	c.Kinds, c.Hidden, c.K, c.Seed, c.L2 = Kinds(), 4, 5, 1, []float64{.01}
	rep, x := fitPairs(t, c)
	want := map[string]float64{
		BayesRidge: 3.8707, CCS: 3.5292, ElasticNet: 5.3278, Sparse: 5.7174, Laplace: 4.16, LAT: 3.6509, LDA: 49.7991, Logistic: 5.8438, LogisticL1: 5.7018, MassMean: 49.3349,
		MassMeanIID: 53.8097, MLP: 4.5907, RankBCE: 3.6609, RankMargin: 3.6347, RankMSE: 4.0994, Ridge: 3.8779, SVM: 3.808, TTPD: 4.7313, VINC: 4.3339}
	for _, p := range rep.Probes {
		if got := p.Scores(x[:width])[0]; math.Abs(got-want[p.Kind]) > 1e-3 {
			t.Errorf("%s: %.4f, want %.4f", p.Kind, got, want[p.Kind])
		}
	}
}

// pairsProblem is the rows of pairedData after a change.
func pairsProblem(c Config, change func(*Rows)) *problem {
	rows, x := pairedData(60, width)
	if change != nil {
		change(&rows)
	}
	return newProblem(&rows, x, width, c)
}

// Where a hyperplane has all train rows on their sides, there is no minimum without a penalty: the fit with l2 = 0 is none,
// and a regularised one stands in its place and says so.
func TestSeparableRowsHaveNoUnpenalisedFit(t *testing.T) {
	c := config()
	for _, l2 := range [][]float64{{0}, {0, 0.1}} {
		c.L2 = l2
		p := pairsProblem(c, func(r *Rows) {
			for i := range r.Label { // along the polarity, three units apart
				r.Label[i] = r.Polarity[i]
			}
		})
		for i := range p.x {
			if p.rows.Polarity[i/width] {
				p.x[i] += float32(50 * math.Cos(float64(i%width)))
			}
		}
		q, scores := p.fit(Logistic)
		if !q.Converged || !q.Separable || q.L2 <= 0 || q.ValLoss > 0.2 || scores == nil {
			t.Errorf("l2 %v: %+v", l2, q.Fit)
		}
	}
	c.L2 = []float64{0}
	if q, _ := pairsProblem(c, func(r *Rows) {
		for i := range r.Label {
			r.Label[i] = i%3 == 0
		}
	}).fit(Logistic); !q.Converged || q.Separable || q.L2 != 0 {
		t.Errorf("rows that are not separable: %+v", q.Fit)
	}
}

// With balanced weights one row of a label in a hundred moves the threshold as much as all others.
func TestBalanced(t *testing.T) {
	rare := func(balanced bool) float64 {
		c := config()
		c.Balanced, c.L2 = balanced, []float64{0.1}
		rows, x := pairedData(300, width)
		for i := range rows.Label {
			if rows.Label[i] && rows.Split[i] == Train && i%16 > 1 {
				rows.Split[i] = "left out"
			}
		}
		q, scores := newProblem(&rows, x, width, c).fit(Logistic)
		var sum float64
		test := rows.In(Test)
		for _, i := range test {
			sum += scores[i] / float64(len(test))
		}
		if !q.Converged {
			t.Fatalf("balanced %v: %+v", balanced, q.Fit)
		}
		return sum
	}
	if without, with := rare(false), rare(true); without > 0.45 || math.Abs(with-0.5) > 0.05 {
		t.Errorf("mean probability %.3f, balanced %.3f", without, with)
	}
}

// Rows that are no pairs are refused by name.
func TestPairsAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Rows)
		want   error
	}{
		"three rows":    {func(r *Rows) { r.Pair[4] = r.Pair[0] }, ErrPairs},
		"two splits":    {func(r *Rows) { r.Split[0] = Test }, ErrLeak},
		"one polarity":  {func(r *Rows) { r.Polarity[1] = r.Polarity[0] }, ErrPairs},
		"no pairs":      {func(r *Rows) { clear(r.Pair) }, ErrPairs},
		"some singles":  {func(r *Rows) { r.Pair[7], r.Pair[12] = "", "alone" }, nil},
		"not asked for": {func(r *Rows) { r.Pair = nil }, nil},
	} {
		if err := pairsProblem(config(), c.change).rows.checkPairs(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// L6: contrast-consistent search takes pairs of rows and nothing else.
func TestNeverAgainL6CCSOnRowsWithoutPairs(t *testing.T) {
	for _, kind := range []string{CCS, VINC, LAT, RankBCE} {
		c := config()
		c.Kinds = []string{kind}
		if _, err := fitRun(t, planted(nil), c); !errors.Is(err, ErrColumn) || !strings.Contains(err.Error(), `no column "pair"`) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// L7: exchanging the two of a pair turns P(first) into 1 − P(first), whatever the loss, and a tie is one half.
func TestNeverAgainL7RankingIsAntisymmetric(t *testing.T) {
	c := config()
	c.Kinds = []string{RankMSE, RankBCE, RankMargin}
	rep, x := fitPairs(t, c)
	swapped := func(r *Rows) {
		for i := range r.Polarity {
			r.Polarity[i] = !r.Polarity[i]
		}
	}
	for _, p := range rep.Probes {
		a := linearOf(p)
		margin := func(i, j int) float64 {
			s := p.Scores(x)
			return sigmoid(s[i] - s[j])
		}
		right := 0
		for i := 0; i < rep.Rows.Len(); i += 2 {
			if sum := margin(i, i+1) + margin(i+1, i); math.Abs(sum-1) > 1e-12 {
				t.Fatalf("%s: the two orders of pair %d sum to %v", p.Kind, i/2, sum)
			}
			if margin(i, i+1) > 0.5 == rep.Rows.Label[i] {
				right++
			}
		}
		if right < 140 || margin(3, 3) != 0.5 {
			t.Errorf("%s: %d of 150 pairs are in order, a tie is %v", p.Kind, right, margin(3, 3))
		}
		rows, x := pairedData(150, width)
		swapped(&rows)
		q, _ := newProblem(&rows, x, width, c).fit(p.Kind)
		b := linearOf(q)
		if cos := dot(a.W, b.W) / math.Sqrt(dot(a.W, a.W)*dot(b.W, b.W)); cos < 1-1e-6 {
			t.Errorf("%s: with the order of every pair turned, the cosine is %v", p.Kind, cos)
		}
	}
}

// After LEACE no linear probe finds the concept, and erasing twice is erasing once.
func TestErased(t *testing.T) {
	p := pairsProblem(config(), nil)
	r, e := p.erased()
	again := newEraser(r, len(p.train), width, pick(p.rows.Polarity, p.train))
	if far := largest(again.delta); far > 1e-9 {
		t.Errorf("the means still differ by %v", far)
	}
	twice := e.rows(r, width)
	w := make([]float64, width)
	w[2] = 1
	_, z := p.standardised()
	for i := range twice {
		if math.Abs(twice[i]-r[i]) > 1e-9 {
			t.Fatalf("value %d: %v once, %v twice", i, r[i], twice[i])
		}
	}
	if direct, folded := dot(w, r[:width]), dot(e.before(w), z[:width]); math.Abs(direct-folded) > 1e-9 {
		t.Errorf("w·r is %v, over z %v", direct, folded)
	}
}

// Gradients agree with finite differences.
func TestGradients(t *testing.T) {
	c := config()
	c.Hidden = 3
	p := pairsProblem(c, nil)
	_, z := p.standardised()
	r, _ := p.erased()
	search, net := newCCS(r, width, p.pairs()), newPerceptron(p.margin(z, width, logisticLoss), 3)
	net.l2 = 0.1
	random := rand.New(rand.NewPCG(1, 2))
	start := make([]float64, width+1)
	for i := range start {
		start[i] = random.NormFloat64()
	}
	for name, f := range map[string]struct {
		value    func([]float64) float64
		gradient func(grad, theta []float64)
		at       []float64
	}{"ccs": {search.loss, search.gradient, start}, "mlp": {net.objective, net.gradient, net.start(3)}} {
		grad := make([]float64, len(f.at))
		f.gradient(grad, f.at)
		for i := range f.at {
			const h = 1e-6
			up, down := slices.Clone(f.at), slices.Clone(f.at)
			up[i] += h
			down[i] -= h
			if want := (f.value(up) - f.value(down)) / (2 * h); math.Abs(grad[i]-want) > 1e-7 {
				t.Errorf("%s: ∂%d = %v, want %v", name, i, grad[i], want)
			}
		}
	}
}

// The variance of the log-odds grows with the distance from what was trained on.
func TestPosteriorKnowsWhereItWasTrained(t *testing.T) {
	p := pairsProblem(config(), nil)
	q, _ := p.fit(Laplace)
	near := p.of(p.train[:1])
	far := slices.Clone(near)
	for j := range far {
		far[j] *= 30
	}
	m := q.Model.(*Posterior)
	if a, b := m.Variance(near)[0], m.Variance(far)[0]; !(a > 0 && b > 20*a) {
		t.Errorf("variance %v among the rows, %v far away", a, b)
	}
}
