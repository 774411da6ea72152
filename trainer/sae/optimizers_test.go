package sae

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"actfleet/trainer/optim"
)

// Every optimizer lowers the loss on planted directions, and so does an average of weights.
func TestOptimizers(t *testing.T) {
	rates := map[optim.Name]float64{optim.ByAdam: 5e-3, optim.ByAdamW: 5e-3, optim.BySparseAdam: 5e-3, optim.BySGD: 2,
		optim.ByAdafactor: 2e-2, optim.BySignSGD: 5e-3}
	for _, n := range optim.Names {
		for _, ema := range []float64{0, 0.98} {
			c := Config{Width: 96, K: 3, AuxK: 16, AuxCoef: 1. / 32, DeadTokens: 8000, Clip: 1, Scale: true, EMA: ema}
			c.Optimizer = optim.Default(n)
			l, dict := trainAt(t, c, 250, rates[n])
			x := planted(rand.New(rand.NewPCG(8, 8)), dict, l.D, 3, 1000)
			e := Eval{Model: l.Export()}
			if err := e.Add(x, 1000); err != nil {
				t.Fatal(err)
			}
			if fvu := e.Metrics()["fvu"]; fvu > 0.25 {
				t.Errorf("%s with an average of %v: fvu %.3f", n, ema, fvu)
			}
			m := l.averaged()
			if averages := ema > 0 || n == optim.BySignSGD; averages == slices.Equal(m.WEnc, l.WEnc) {
				t.Errorf("%s with an average of %v: averaged %v", n, ema, !averages)
			}
			for i := range m.M {
				if norm := math.Sqrt(squareNorm(m.WDec[i*m.D : (i+1)*m.D])); math.Abs(norm-1) > 1e-5 {
					t.Fatalf("%s: direction %d has length %v", n, i, norm)
				}
			}
		}
	}
}

// Clip limits the norm of the gradient of V·loss, as it is published where errors are summed over a vector.
func TestClip(t *testing.T) {
	cfg := Config{Width: 96, K: 3, DeadTokens: 8000, Scale: true, Clip: 1, Optimizer: optim.Default(optim.BySGD)}
	cfg.Optimizer.Beta1 = 0
	l, dict := trainPlanted(t, cfg, 0)
	before := slices.Concat(l.WEnc, l.BEnc, l.BDec)
	x := planted(rand.New(rand.NewPCG(8, 8)), dict, l.D, 3, 512)
	if err := l.Micro(x, 512); err != nil {
		t.Fatal(err)
	}
	v := l.consts[constVariance]
	m, err := l.Step(1)
	if err != nil {
		t.Fatal(err)
	}
	after := slices.Concat(l.WEnc, l.BEnc, l.BDec) // all but the directions, which are made unit again
	for i := range after {
		after[i] -= before[i]
	}
	moved := math.Sqrt(squareNorm(after)) * v
	if m["grad"]*v < 2 || moved > 1.0001 || moved < 0.3 {
		t.Errorf("a gradient of norm %v moves the weights by %v, want at most 1", m["grad"]*v, moved)
	}
}
