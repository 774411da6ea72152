package calibrate

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// draw is n rows whose stated probability is too bold: the truth is that of half the log-odds.
func draw(r *rand.Rand, n int) (p []float64, positive []bool) {
	for range n {
		f := 3 * r.NormFloat64()
		p = append(p, sigma(f))
		positive = append(positive, r.Float64() < sigma(f/2))
	}
	return p, positive
}

func sigma(f float64) float64 { return 1 / (1 + math.Exp(-f)) }

// Over many draws the sets hold the true label as often as promised and, by the theory, not 1/(n+1) more often.
func TestConformalCovers(t *testing.T) {
	for _, c := range []struct {
		n        int
		alpha    float64
		mondrian bool
	}{{19, .1, false}, {100, .1, false}, {100, .05, true}, {40, .2, true}} {
		r := rand.New(rand.NewPCG(1, uint64(c.n)))
		var held, rows [2]float64
		for range 4000 {
			p, positive := draw(r, c.n+1)
			set := NewConformal(p[:c.n], positive[:c.n], c.alpha, c.mondrian)
			neg, pos := set.Set(p[c.n])
			k := class(positive[c.n])
			rows[k]++
			if positive[c.n] && pos || !positive[c.n] && neg {
				held[k]++
			}
		}
		const noise = 0.02
		if all := (held[0] + held[1]) / 4000; all < 1-c.alpha-noise || !c.mondrian && all > 1-c.alpha+1/float64(c.n+1)+noise {
			t.Errorf("%+v: covers %.3f", c, all)
		}
		for k := range held {
			if share := held[k] / rows[k]; c.mondrian && share < 1-c.alpha-noise {
				t.Errorf("%+v: covers %.3f of label %d", c, share, k)
			}
		}
	}
}

// n = 19 at α = 0.1 takes the 18th smallest score, n = 8 excludes nothing.
func TestConformalRank(t *testing.T) {
	var p []float64
	for i := range 19 {
		p = append(p, 1-float64(i)/20)
	}
	all := slices.Repeat([]bool{true}, 19)
	if got := NewConformal(p, all, .1, false).limit[1]; math.Abs(got-17./20) > 1e-12 {
		t.Errorf("limit %v, want 0.85", got)
	}
	if got := NewConformal(p[:8], all[:8], .1, false).limit; !math.IsInf(got[0], 1) {
		t.Errorf("8 rows exclude labels above %v", got)
	}
	if got := NewConformal(p, all, .1, true).limit; !math.IsInf(got[0], 1) || math.IsInf(got[1], 1) {
		t.Errorf("without negatives: limits %v", got)
	}
}

// A fit rises, keeps the mean, and no rising step between two of its values would be closer to the labels.
func TestIsotonic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "n")
		score, positive := make([]float64, n), make([]bool, n)
		var sum, fitted float64
		for i := range n {
			score[i], positive[i] = float64(rapid.IntRange(0, 10).Draw(t, "score")), rapid.Bool().Draw(t, "label")
			sum += float64(class(positive[i]))
		}
		f := NewIsotonic(score, positive)
		for i := range n {
			fitted += f.Value(score[i])
		}
		if !slices.IsSorted(f.value) || math.Abs(sum-fitted) > 1e-9 {
			t.Fatalf("%v, sum %v of %v", f.value, fitted, sum)
		}
		v := NewVennAbers(score, positive)
		at := float64(rapid.IntRange(-1, 11).Draw(t, "at")) + 0.5
		if p0, p1 := v.Interval(at); !(p0 <= v.Value(at)+1e-12 && v.Value(at) <= p1+1e-12 && p0 >= 0 && p1 <= 1) {
			t.Fatalf("interval %v–%v, value %v", p0, p1, v.Value(at))
		}
	})
	f := NewIsotonic([]float64{1, 2, 3, 4}, []bool{false, true, false, true})
	if got := []float64{f.Value(0), f.Value(1.5), f.Value(2.7), f.Value(9)}; !slices.Equal(got, []float64{0, .25, .5, 1}) {
		t.Errorf("by hand: %v", got)
	}
	v := NewVennAbers([]float64{1, 3}, []bool{false, true})
	if p0, p1 := v.Interval(2); p0 != 0 || p1 != 1 {
		t.Errorf("by hand: %v–%v", p0, p1)
	}
}

// Bold probabilities become right ones: A is one half.
func TestPlatt(t *testing.T) {
	p, positive := draw(rand.New(rand.NewPCG(2, 2)), 20000)
	f := make([]float64, len(p))
	for i := range p {
		f[i] = LogOdds(p[i])
	}
	if m := NewPlatt(f, positive); math.Abs(m.A-0.5) > 0.03 || math.Abs(m.B) > 0.05 {
		t.Errorf("%+v", m)
	}
	if m := NewPlatt([]float64{-1, -2, 3, 4}, []bool{false, false, true, true}); !(m.A > 0 && m.A < 1) || m.Value(4) > 0.9 {
		t.Errorf("separable labels: %+v", m)
	}
	if math.Abs(LogOdds(0)+LogOdds(1)) > 1e-3 || math.IsInf(LogOdds(1), 0) {
		t.Errorf("log-odds of 1: %v", LogOdds(1))
	}
}

// The rate above the threshold exceeds what was asked for in a draw of ten, not more often.
func TestThresholdKeepsItsWord(t *testing.T) {
	const fpr, confidence, draws = 0.05, 0.9, 2000
	r := rand.New(rand.NewPCG(3, 3))
	broken := 0.0
	for range draws {
		score := make([]float64, 200)
		for i := range score {
			score[i] = r.Float64()
		}
		if 1-Threshold(score, make([]bool, len(score)), fpr, confidence) > fpr {
			broken++
		}
	}
	if share := broken / draws; share > 1-confidence+0.02 || share < 0.01 {
		t.Errorf("broken in %.3f of the draws", share)
	}
	n := NegativesNeeded(.01, .95)
	score := make([]float64, n)
	for i := range score {
		score[i] = float64(i)
	}
	if n != 299 || Threshold(score, make([]bool, n), .01, .95) != 298 || !math.IsInf(Threshold(score[1:], make([]bool, n-1), .01, .95), 1) {
		t.Errorf("%d negatives: %v", n, Threshold(score, make([]bool, n), .01, .95))
	}
}

func TestOnePerGroup(t *testing.T) {
	rows := OnePerGroup([]string{"a", "a", "b", "a", "c", "b"})
	if len(rows) != 3 || rows[2] != 4 || !slices.Contains([]int{2, 5}, rows[1]) {
		t.Errorf("%v", rows)
	}
}

// slowVennAbers is the definition: an isotonic fit to all calibration rows and the new one.
func slowVennAbers(score []float64, positive []bool, at float64, label bool) float64 {
	return NewIsotonic(append(slices.Clone(score), at), append(slices.Clone(positive), label)).Value(at)
}

func TestVennAbersIsTheFitWithTheRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "rows")
		score, positive := make([]float64, n), make([]bool, n)
		for i := range score {
			score[i] = float64(rapid.IntRange(0, 40).Draw(t, "score")) / 8 // ties
			positive[i] = rapid.Bool().Draw(t, "label")
		}
		v := NewVennAbers(score, positive)
		at := float64(rapid.IntRange(-2, 90).Draw(t, "at")) / 16
		p0, p1 := v.Interval(at)
		if w0, w1 := slowVennAbers(score, positive, at, false), slowVennAbers(score, positive, at, true); p0 != w0 || p1 != w1 {
			t.Fatalf("at %v: %v and %v, want %v and %v", at, p0, p1, w0, w1)
		}
	})
}
