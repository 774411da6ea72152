package vq

import (
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"actfleet/trainer/optim"
)

func near(a, b, tol float64) bool { return math.Abs(a-b) <= tol }

// Computed by hand: z = (1.2, 1.9) lies at 5.05, .85, .65 from three codes.
func TestNearestByHand(t *testing.T) {
	m := newModel(2, 3)
	copy(m.Codes, []float32{0, 0, 1, 1, 2, 2})
	e := Eval{Model: m}
	if err := e.Add([]float32{1.2, 1.9}, 1); err != nil {
		t.Fatal(err)
	}
	if e.codes[0] != 2 || !near(e.Metrics()["commit"], .325, 1e-6) {
		t.Errorf("code %d, commit %v; want 2, .325", e.codes[0], e.Metrics()["commit"])
	}
	tie := newModel(1, 3)
	copy(tie.Codes, []float32{2, 0, 2})
	codes := make([]int32, 2)
	if err := tie.Encode([]float32{1, 2}, 2, codes); err != nil || codes[0] != 0 || codes[1] != 0 {
		t.Errorf("ties: %v %v, want the lower index", codes, err)
	}
}

// Computed by hand: γ = .8, N = (2, 0), n = (1, 1).
func TestAverageByHand(t *testing.T) {
	l, err := New(1, Config{Codes: 2, Decay: .8})
	if err != nil {
		t.Fatal(err)
	}
	l.n[0] = 2
	l.win.count[0], l.win.count[1] = 1, 1
	l.average()
	if !near(l.n[0], 1.8, 1e-12) || !near(l.n[1], .2, 1e-12) {
		t.Errorf("N = %v, want 1.8 and .2", l.n)
	}
	if s := smoothed(l.n); !near(s[0], 1.79999200, 5e-9) || !near(s[1], .20000800, 5e-9) {
		t.Errorf("smoothed %v", s)
	}
}

// Computed by hand: p = (.5, .25, .25) has 1.5 bits.
func TestUsageByHand(t *testing.T) {
	m := usage([]int64{2, 1, 1, 0})
	if m["entropy"] != 1.5 || !near(m["perplexity"], 2.828427, 1e-6) || m["usage"] != .75 {
		t.Errorf("got %v", m)
	}
}

// clusters makes rows around k centres far apart, off the origin.
func clusters(r *rand.Rand, k, d, n int) (x []float32, label []int) {
	centre := rand.New(rand.NewPCG(77, 77))
	at := make([]float32, k*d)
	for i := range at {
		at[i] = 100 + 10*float32(centre.NormFloat64())
	}
	x, label = make([]float32, n*d), make([]int, n)
	for i := range n {
		label[i] = r.IntN(k)
		for j := range d {
			x[i*d+j] = at[label[i]*d+j] + 0.5*float32(r.NormFloat64())
		}
	}
	return x, label
}

func train(t testing.TB, cfg Config, d, k, steps int) *Learner {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	l, err := New(d, cfg)
	if err != nil {
		t.Fatal(err)
	}
	sample, _ := clusters(r, k, d, 1000)
	if err := l.Init(sample, 1000); err != nil {
		t.Fatal(err)
	}
	for range steps {
		x, _ := clusters(r, k, d, 256)
		if err := l.Micro(x, 256); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Step(0); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// With as many codes as clusters, revival ends with one code in each.
func TestFindsClusters(t *testing.T) {
	l := train(t, Config{Codes: 16, Decay: .9, Beta: .25, Dead: .2, Lloyd: 5, Batch: 256}, 8, 12, 200)
	x, label := clusters(rand.New(rand.NewPCG(5, 5)), 12, 8, 600)
	e := Eval{Model: l.Export()}
	if err := e.Add(x, 600); err != nil {
		t.Fatal(err)
	}
	if fvu := e.Metrics()["fvu"]; fvu > 0.01 {
		t.Errorf("fvu %v, want below .01", fvu)
	}
	of := map[int32]int{}
	for i, k := range e.codes {
		if c, ok := of[k]; ok && c != label[i] {
			t.Fatalf("code %d stands for clusters %d and %d", k, c, label[i])
		}
		of[k] = label[i]
	}
}

func TestRevive(t *testing.T) {
	l := train(t, Config{Codes: 8, Decay: .5, Dead: .1, Lloyd: 1, Batch: 256}, 4, 3, 0)
	for j := range 4 {
		l.Codes[5*4+j] = 1e6 // no row is near
		l.s[5*4+j] = 1e6 * l.n[5]
	}
	x, _ := clusters(rand.New(rand.NewPCG(5, 5)), 3, 4, 256)
	for step := range 12 {
		if err := l.Micro(x, 256); err != nil {
			t.Fatal(err)
		}
		before := l.n[5]
		m, err := l.Step(0)
		if err != nil {
			t.Fatal(err)
		}
		if l.n[5] > before {
			if m["revived"] < 1 || l.Codes[5*4] > 1e3 || !near(l.s[5*4]/l.n[5], float64(l.Codes[5*4]), 1e-4) {
				t.Errorf("step %d: revived %v, code %v, S/N %v", step, m["revived"], l.Codes[5*4], l.s[5*4]/l.n[5])
			}
			return
		}
	}
	t.Error("the dead code was never revived")
}

// Any split of a batch into micro-batches gives the codebook of the whole batch.
func TestAccumulation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const d = 3
		sizes := rapid.SliceOfN(rapid.IntRange(1, 40), 1, 6).Draw(rt, "micro-batches")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 3))
		n := 0
		for _, s := range sizes {
			n += s
		}
		x := make([]float32, n*d)
		for i := range x {
			x[i] = float32(r.IntN(33)-16) / 8 // sums are exact, so no tie moves
		}
		made := func() *Learner {
			l, err := New(d, Config{Codes: 6, Decay: .75, Dead: .5, Batch: n})
			if err != nil {
				t.Fatal(err)
			}
			q := rand.New(rand.NewPCG(4, 4))
			for i := range l.Codes {
				l.Codes[i] = float32(q.IntN(33)-16) / 8
				l.s[i] = float64(l.Codes[i])
			}
			for k := range l.n {
				l.n[k] = 1
			}
			return l
		}
		whole, parts := made(), made()
		if err := whole.Micro(x, n); err != nil {
			t.Fatal(err)
		}
		at := 0
		for _, s := range sizes {
			if err := parts.Micro(x[at*d:(at+s)*d], s); err != nil {
				t.Fatal(err)
			}
			at += s
		}
		a, errA := whole.Step(0)
		b, errB := parts.Step(0)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		for name := range a {
			if !near(a[name], b[name], 1e-9*(1+math.Abs(a[name]))) {
				t.Fatalf("%s: %v, in parts %v", name, a[name], b[name])
			}
		}
		for i := range whole.Codes {
			if !near(float64(whole.Codes[i]), float64(parts.Codes[i]), 1e-6) {
				t.Fatalf("code value %d: %v, in parts %v", i, whole.Codes[i], parts.Codes[i])
			}
		}
	})
}

func TestSaveLoad(t *testing.T) {
	l := train(t, Config{Codes: 16, Decay: .9, Dead: .2, Lloyd: 2, Batch: 256}, 8, 12, 5)
	path := filepath.Join(t.TempDir(), "coder.safetensors")
	if err := l.Export().Save(path); err != nil {
		t.Fatal(err)
	}
	m, err := Load(path, 8, 16)
	if err != nil {
		t.Fatal(err)
	}
	x, _ := clusters(rand.New(rand.NewPCG(6, 6)), 12, 8, 200)
	a, b := make([]int32, 200), make([]int32, 200)
	if err := errors.Join(l.Export().Encode(x, 200, a), m.Encode(x, 200, b)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a, b) {
		t.Error("a loaded codebook gives other codes")
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []Config{{Codes: 1, Decay: .9}, {Codes: 4, Decay: 1}, {Codes: 4, Decay: math.NaN()}} {
		if _, err := New(3, c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
	l, err := New(1, Config{Codes: 4, Decay: .9})
	if err != nil {
		t.Fatal(err)
	}
	if l.Init([]float32{1, 2, 3}, 3) == nil {
		t.Error("fewer rows than codes are accepted")
	}
	if err := l.Micro([]float32{float32(math.NaN())}, 1); !errors.Is(err, optim.ErrNonFinite) {
		t.Errorf("NaN: %v", err)
	}
	if _, err := New(1, Config{Codes: 4, Decay: .9}); err != nil {
		t.Fatal(err)
	}
}
