package sae

import (
	"math"
	"math/rand/v2"
	"testing"
)

// After a short training the threshold is fitted: k latents are active on the rows it is fitted to, and about as many on
// others.
func TestFitThreshold(t *testing.T) {
	for _, arch := range []Arch{BatchTopK, Matryoshka} {
		r := rand.New(rand.NewPCG(3, 4))
		const d, m, n, k = 24, 96, 512, 6
		dict := unitDirections(r, 60, d)
		l, err := New(d, Config{Arch: arch, Width: m, K: k, Steps: 40, Scale: true, Prefixes: 3, DeadTokens: 4000})
		if err != nil {
			t.Fatal(err)
		}
		rows := planted(r, dict, d, k, 2*n)
		if err := l.Init(rows, n); err != nil {
			t.Fatal(err)
		}
		for range 40 {
			x := planted(r, dict, d, k, n)
			if err := l.Micro(x, n); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Step(0.01); err != nil {
				t.Fatal(err)
			}
		}
		l0 := func(x []float32) float64 {
			e := Eval{Model: l.Export()}
			if err := e.Add(x, n); err != nil {
				t.Fatal(err)
			}
			return e.Metrics()["l0"]
		}
		lagging := l0(rows[:n*d])
		if err := l.FitThreshold(rows, n); err != nil {
			t.Fatal(err)
		}
		if got, others := l0(rows[:n*d]), l0(rows[n*d:]); math.Abs(got-k) > 0.01*k || math.Abs(others-k) > 0.25 {
			t.Errorf("%s: %v latents are active on the rows fitted to, %v on others, %v before", arch, got, others, lagging)
		}
		if theta := l.Theta[0]; theta <= 0 || l.consts[constOwn] != float64(theta) {
			t.Errorf("%s: theta %v, in the state %v", arch, theta, l.consts[constOwn])
		}
	}
}

// The controller brings what k does not bind to one number of active latents, in a short training.
func TestTargetL0(t *testing.T) {
	const d, m, n = 24, 96, 64
	for _, tt := range []struct {
		arch    Arch
		steps   int
		targets []float64
	}{
		{ReLU, 300, []float64{4, 12}}, {ReLUApril, 300, []float64{4, 12}}, {Gated, 300, []float64{4, 12}}, {JumpReLU, 300, []float64{4, 12}},
		{JumpReLUTanh, 600, []float64{4, 8}},
		{JumpReLU, 150, []float64{4}}, // too few for a penalty to move thresholds there
	} {
		arch, steps := tt.arch, tt.steps
		for _, target := range tt.targets {
			r := rand.New(rand.NewPCG(5, 6))
			dict := unitDirections(r, 60, d)
			def := arch.Defaults(d)
			def.Warmup = min(def.Warmup, 0.5) // what still rises at the end of a short training is behind
			c := Config{Arch: arch, Width: m, K: 4, Steps: steps, Scale: true, DeadTokens: 4000, Clip: 1, Penalty: def.Penalty,
				Warmup: int(def.Warmup * float64(steps)), Bandwidth: def.Bandwidth, Theta: def.Theta, Preact: 3e-6, TargetL0: target}
			l, err := New(d, c)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Init(planted(r, dict, d, 5, 1024), 1024); err != nil {
				t.Fatal(err)
			}
			var seen map[string]float64
			var sum float64
			for step := range steps {
				if err := l.Micro(planted(r, dict, d, 5, n), n); err != nil {
					t.Fatal(err)
				}
				lr := 0.01 * min(1, float64(steps-step)*5/float64(steps))
				if seen, err = l.Step(lr); err != nil {
					t.Fatal(err)
				}
				if step >= steps-50 {
					sum += seen["l0"] / 50
				}
			}
			t.Logf("%s: target %v, l0 %.2f, fvu %.3f, lambda %.3g", arch, target, sum, seen["fvu"], seen["lambda"])
			if math.Abs(sum-target) > 0.1*target {
				t.Errorf("%s: l0 %v, want %v", arch, sum, target)
			}
		}
	}
	if _, err := New(d, Config{Width: 8, K: 2, TargetL0: 4, Penalty: 1}); err == nil {
		t.Error("a target for topk is accepted")
	}
}
