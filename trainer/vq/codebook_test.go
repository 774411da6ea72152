package vq

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"actfleet/trainer/optim"
)

// Computed by hand: z = (1.2, 1.9) lies at 5.05, .85, .65 from three codes.
func TestNearestByHand(t *testing.T) {
	c := newCodebooks(ema{}, Config{Arch: EMA}, Dims{Row: 2, Ids: 1, Codes: 3})
	copy(c.books[0].codes, []float32{0, 0, 1, 1, 2, 2})
	e := Eval{Coder: c}
	if err := e.Add([]float32{1.2, 1.9}, 1); err != nil {
		t.Fatal(err)
	}
	if e.ids[0] != 2 || !near(e.Metrics()["mse"], .325, 1e-6) {
		t.Errorf("id %d, mse %v; want 2, .325", e.ids[0], e.Metrics()["mse"])
	}
	tie := newCodebook(3, 1)
	copy(tie.codes, []float32{2, 0, 2})
	ids := make([]int32, 2)
	if err := tie.ids([]float32{1, 2}, 2, ids); err != nil || ids[0] != 0 || ids[1] != 0 {
		t.Errorf("ties: %v %v, want the lower index", ids, err)
	}
}

// Computed by hand: γ = .8, N = (2, 0), n = (1, 1).
func TestAverageByHand(t *testing.T) {
	s := newCodebookStats(newCodebook(2, 1))
	s.emaCount[0] = 2
	s.count[0], s.count[1] = 1, 1
	s.average(.8)
	if !near(s.emaCount[0], 1.8, 1e-12) || !near(s.emaCount[1], .2, 1e-12) {
		t.Errorf("N = %v, want 1.8 and .2", s.emaCount)
	}
	if v := smoothed(s.emaCount); !near(v[0], 1.79999200, 5e-9) || !near(v[1], .20000800, 5e-9) {
		t.Errorf("smoothed %v", v)
	}
}

// Computed by hand: p = (.5, .25, .25) has 1.5 bits.
func TestEntropyByHand(t *testing.T) {
	y := newIDStats(Dims{Row: 1, Ids: 2, Codes: 4})
	y.add([]int32{0, 0, 0, 1, 1, 1, 2, 1}, 4)
	m := y.metrics()
	if m["entropy_0"] != 1.5 || !near(m["entropy_1"], 0.811278, 1e-6) || m["usage"] != .625 || m["alike"] != .5 {
		t.Errorf("got %v", m)
	}
	if !near(m["diversity"], 0.811278/2, 1e-6) || !near(m["perplexity"], math.Exp2((1.5+0.811278)/2), 1e-5) {
		t.Errorf("got %v", m)
	}
	one := newIDStats(Dims{Row: 1, Ids: 1, Codes: 4})
	one.add([]int32{0, 0, 1, 2}, 4)
	if m := one.metrics(); !near(m["perplexity"], 2.828427, 1e-6) {
		t.Errorf("perplexity %v, want 2.828427", m["perplexity"])
	}
}

// Ids that say nothing raise an alarm that names them.
func TestAlarms(t *testing.T) {
	y := newIDStats(Dims{Row: 1, Ids: 3, Codes: 16})
	for i := range int32(100) {
		y.add([]int32{i % 16, 3, i % 16}, 1)
	}
	lines := strings.Join(Alarms(y.metrics()), "\n")
	if !strings.Contains(lines, "id 1 carries 0 %") || !strings.Contains(lines, "two ids are equal in 100 %") {
		t.Errorf("alarms %q", lines)
	}
	if lines := Alarms(map[string]float64{"diversity": .01}); len(lines) != 1 || !strings.HasPrefix(lines[0], "an id carries 1 %") {
		t.Errorf("alarms %q", lines)
	}
}

// A dead code becomes a row of the batch, with both averages.
func TestRevive(t *testing.T) {
	for _, a := range []Arch{EMA, Gradient, Residual, Product, IRIS} {
		cfg := small(a)
		cfg.Codes, cfg.Decay, cfg.DeadShare, cfg.KMeansSteps = 8, .5, .1, 1
		l := begun(t, cfg)
		s := statsOf(l)
		for j := range s.w {
			s.codes[5*s.w+j] = 1e6 // no row is near
			s.emaSum[5*s.w+j] = 1e6 * s.emaCount[5]
		}
		x, _ := clusters(rand.New(rand.NewPCG(5, 5)), 3, 8, 256)
		forgets := moved(l)
		revived := false
		for range 12 {
			before := s.emaCount[5]
			m := step(t, l, x, 256, 0)
			if s.emaCount[5] <= before {
				continue
			}
			revived = true
			if m["revived"] < 1 || s.code(5)[0] > 1e3 || !near(s.emaSum[5*s.w]/s.emaCount[5], float64(s.code(5)[0]), 1e-4) {
				t.Errorf("%s: revived %v, code %v, S/N %v", a, m["revived"], s.code(5)[0], s.emaSum[5*s.w]/s.emaCount[5])
			}
			if forgets != nil && !slices.Contains(forgets.rows, 5) {
				t.Errorf("%s: the optimizer forgets %v", a, forgets.rows)
			}
			break
		}
		if !revived {
			t.Errorf("%s: the dead code was never revived", a)
		}
	}
}

// statsOf is the statistics of a learner's first codebook.
func statsOf(l Learner) *codebookStats {
	switch l := l.(type) {
	case *codebooksLearner:
		return l.stats[0]
	case *vqvaeLearner:
		return l.training.(*irisTraining).stats
	}
	return nil
}

// forgetful notes which rows an optimizer forgets.
type forgetful struct {
	optim.Optimizer
	rows []int
}

func (f *forgetful) Forget(name string, row int) {
	f.rows = append(f.rows, row)
	f.Optimizer.Forget(name, row)
}

// moved puts a forgetful optimizer under a learner's codebook; nil where it has none.
func moved(l Learner) *forgetful {
	var m *codebookOptimizer
	switch l := l.(type) {
	case *codebooksLearner:
		m, _ = l.rules[0].(*codebookOptimizer)
	case *vqvaeLearner:
		m = l.training.(*irisTraining).opt
	}
	if m == nil {
		return nil
	}
	f := &forgetful{Optimizer: m.Optimizer}
	m.Optimizer = f
	return f
}
