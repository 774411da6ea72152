package sae

import (
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"actfleet/trainer/optim"
)

// Computed by hand: the geometric median of a right isosceles triangle.
func TestGeometricMedian(t *testing.T) {
	got := GeometricMedian([]float32{0, 0, 1, 0, 0, 1}, 3)
	for _, v := range got {
		if math.Abs(v-0.2113248654) > 1e-5 {
			t.Errorf("got %v, want .2113248654 twice", got)
		}
	}
	if m := GeometricMedian([]float32{1, 1, 1, 1, 1, 1}, 3); m[0] != 1 || m[1] != 1 {
		t.Errorf("equal rows: %v", m)
	}
}

// Computed by hand: e = [[1,0],[0,1]], ê = [[.5,0],[0,0]] gives an auxiliary loss of
// 1.25 when it is divided by the deviation of e from its mean.
func TestAuxNormalised(t *testing.T) {
	e, hat := []float32{1, 0, 0, 1}, []float32{.5, 0, 0, 0}
	var diff float64
	for i := range e {
		diff += math.Pow(float64(e[i]-hat[i]), 2)
	}
	if got := diff / deviation(squareNorm(e), []float64{1, 1}, 2); got != 1.25 {
		t.Errorf("got %v", got)
	}
}

// planted makes rows that are sums of k of m unit directions with positive weights,
// off centre and on another scale.
func planted(r *rand.Rand, dict []float32, d, k, n int) []float32 {
	m := len(dict) / d
	x := make([]float32, n*d)
	for b := range n {
		row := x[b*d : (b+1)*d]
		for j := range row {
			row[j] = 5
		}
		for range k {
			i := r.IntN(m)
			axpy(10*(0.5+r.Float32()), dict[i*d:(i+1)*d], row)
		}
	}
	return x
}

func unitDirections(r *rand.Rand, m, d int) []float32 {
	w := make([]float32, m*d)
	randomRows(r, w, d)
	return w
}

// recovered is the mean over planted directions of the best cosine in the decoder.
func recovered(dict, dec []float32, d int) (mean float64) {
	n := 0
	for i := 0; i < len(dict); i += d {
		var best float32
		for j := 0; j < len(dec); j += d {
			best = max(best, dot(dict[i:i+d], dec[j:j+d]))
		}
		mean += float64(best)
		n++
	}
	return mean / float64(n)
}

func trainPlanted(t testing.TB, cfg Config, steps int) (l *Learner, dict []float32) {
	t.Helper()
	return trainAt(t, cfg, steps, 5e-3)
}

func trainAt(t testing.TB, cfg Config, steps int, rate float64) (l *Learner, dict []float32) {
	t.Helper()
	return trainOn(t, cfg, steps, rate, func(*Learner) {})
}

// trainOn lets place choose where the learner computes.
func trainOn(t testing.TB, cfg Config, steps int, rate float64, place func(*Learner)) (l *Learner, dict []float32) {
	t.Helper()
	const d, m, k, n = 32, 48, 3, 256
	r := rand.New(rand.NewPCG(3, 4))
	dict = unitDirections(r, m, d)
	l, err := New(d, cfg)
	if err != nil {
		t.Fatal(err)
	}
	place(l)
	if err := l.Init(planted(r, dict, d, k, 2000), 2000); err != nil {
		t.Fatal(err)
	}
	for step := range steps {
		x := planted(r, dict, d, k, n)
		if err := l.Micro(x, n); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Step(rate * optim.Schedule(step, steps, 10, steps/5, false)); err != nil {
			t.Fatal(err)
		}
	}
	return l, dict
}

func TestRecoversPlantedDictionary(t *testing.T) {
	l, dict := trainPlanted(t, Config{Width: 96, K: 3, AuxK: 16, AuxCoef: 1. / 32, DeadTokens: 8000, Clip: 1, Scale: true}, 500)
	if mmcs := recovered(dict, l.WDec, l.D); mmcs < 0.95 {
		t.Errorf("mean best cosine %.3f, want above 0.95", mmcs)
	}
	e := Eval{Model: l.Export()}
	x := planted(rand.New(rand.NewPCG(8, 8)), dict, l.D, 3, 1000)
	if err := e.Add(x, 1000); err != nil {
		t.Fatal(err)
	}
	m := e.Metrics()
	if m["fvu"] > 0.1 || m["l0"] > 3 || m["ev"] != 1-m["fvu"] {
		t.Errorf("metrics %v", m)
	}
	for i := range l.M {
		if n := math.Sqrt(squareNorm(l.WDec[i*l.D : (i+1)*l.D])); math.Abs(n-1) > 1e-5 {
			t.Fatalf("direction %d has length %v", i, n)
		}
	}
}

// A model that was saved gives the codes and reconstructions of the one in memory;
// the scale is folded in.
func TestSaveLoad(t *testing.T) {
	l, dict := trainPlanted(t, Config{Width: 64, K: 3, DeadTokens: 1 << 30, Scale: true}, 20)
	path := filepath.Join(t.TempDir(), "coder.safetensors")
	if err := l.Export().Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path, l.Shape)
	if err != nil {
		t.Fatal(err)
	}
	if l.scale == 1 || !slices.Equal(got.WEnc, l.WEnc) || !slices.Equal(got.WDec, l.WDec) {
		t.Fatal("weights differ, or the scale is not exercised")
	}
	const n = 50
	x := planted(rand.New(rand.NewPCG(7, 7)), dict, l.D, 3, n)
	a, b := make([]float32, n*l.D), make([]float32, n*l.D)
	var ca, cb Codes
	if err := l.Model.Reconstruct(x, a, n, &ca); err != nil {
		t.Fatal(err)
	}
	if err := got.Reconstruct(x, b, n, &cb); err != nil {
		t.Fatal(err)
	}
	if diff := relative(b, a); diff > 1e-5 {
		t.Errorf("reconstructions differ by %.2g", diff)
	}
	if _, err := Load(path, Shape{Arch: TopK, D: l.D, M: l.M + 1, K: l.K}); err == nil {
		t.Error("another width is accepted")
	}
}

// Latents that never fire become dead after DeadTokens rows, and the auxiliary loss
// brings them back.
func TestDeadLatents(t *testing.T) {
	with, without := deadBySteps(t, 16), deadBySteps(t, 0)
	if with[3] != 0 || with[4] < 20 {
		t.Errorf("2000 rows are 4 steps; dead by step: %v", with[:8])
	}
	if end := len(with) - 1; with[end] > 5 || without[end] < 20 {
		t.Errorf("dead at the end: %v with the auxiliary loss, %v without", with[end], without[end])
	}
}

func deadBySteps(t *testing.T, auxK int) (dead []float64) {
	t.Helper()
	cfg := Config{Width: 96, K: 3, AuxK: auxK, AuxCoef: 1. / 32, DeadTokens: 2000, Scale: true}
	l, dict := trainPlanted(t, cfg, 0)
	for i := range 40 { // latents that are among the first k on hardly any row
		l.BEnc[i] = -2 * encoderLength
	}
	r := rand.New(rand.NewPCG(2, 2))
	for range 28 {
		if err := l.Micro(planted(r, dict, l.D, 3, 512), 512); err != nil {
			t.Fatal(err)
		}
		m, err := l.Step(5e-3)
		if err != nil {
			t.Fatal(err)
		}
		dead = append(dead, m["dead"])
	}
	return dead
}

func TestNonFinite(t *testing.T) {
	l, dict := trainPlanted(t, Config{Width: 64, K: 3, DeadTokens: 1000, Scale: true}, 1)
	x := planted(rand.New(rand.NewPCG(7, 7)), dict, l.D, 3, 4)
	x[40] = float32(math.Inf(1))
	if err := l.Micro(x, 4); !errors.Is(err, optim.ErrNonFinite) {
		t.Errorf("got %v", err)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []Config{{Width: 0, K: 1}, {Width: 4, K: 5}, {Width: 4, K: 0}} {
		if _, err := New(8, c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
	l, err := New(2, Config{Width: 4, K: 1, DeadTokens: 10})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Init([]float32{1, 1, 1, 1}, 2); err == nil {
		t.Error("a sample without spread is accepted")
	}
	if _, err := l.Step(1); err == nil {
		t.Error("a step without rows is accepted")
	}
}
