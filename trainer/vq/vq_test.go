package vq

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"actfleet/trainer/optim"
	"actfleet/trainer/state"
)

func near(a, b, tol float64) bool { return math.Abs(a-b) <= tol }

// small is a config of an arch for rows of 8.
func small(a Arch) Config {
	c := Config{Arch: a, Codes: 16, Ids: 1, Levels: []int{4, 3}, Hidden: 12, Width: 3, Loss: MSE, Decay: .9, Beta: .25, DeadShare: .2, KMeansSteps: 3, Batch: 256, Seed: 1}
	if a != EMA && a != Gradient {
		c.Ids = 4
	}
	return c
}

func rateOf(a Arch) float64 {
	if a.Defaults().LR > 0 {
		return 1e-2
	}
	return 0
}

// clusters makes rows around k centres far apart, off the origin.
func clusters(r *rand.Rand, k, d, n int) (x []float32, label []int) {
	centre := rand.New(rand.NewPCG(77, 77))
	at := make([]float32, k*d)
	for i := range at {
		at[i] = 100 + 10*float32(normal(centre))
	}
	x, label = make([]float32, n*d), make([]int, n)
	for i := range n {
		label[i] = r.IntN(k)
		for j := range d {
			x[i*d+j] = at[label[i]*d+j] + 0.5*float32(normal(r))
		}
	}
	return x, label
}

// train takes steps over clusters in rows of 8.
func train(t testing.TB, cfg Config, k, steps int) Learner {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	l, err := New(8, cfg)
	if err != nil {
		t.Fatal(err)
	}
	sample, _ := clusters(r, k, 8, 1000)
	if err := l.Init(sample, 1000); err != nil {
		t.Fatal(err)
	}
	for range steps {
		x, _ := clusters(r, k, 8, 256)
		step(t, l, x, 256, rateOf(cfg.Arch))
	}
	return l
}

// step gives a batch in micro-batches of the given sizes, or whole, and steps.
func step(t testing.TB, l Learner, x []float32, n int, lr float64, sizes ...int) map[string]float64 {
	t.Helper()
	if len(sizes) == 0 {
		sizes = []int{n}
	}
	d := len(x) / n
	for at := 0; len(sizes) > 0; sizes = sizes[1:] {
		if err := l.Micro(x[at*d:(at+sizes[0])*d], sizes[0]); err != nil {
			t.Fatal(err)
		}
		at += sizes[0]
	}
	m, err := l.Step(lr)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// With more codes than clusters, each cluster ends with ids of its own.
func TestFindsClusters(t *testing.T) {
	for _, a := range Archs {
		t.Run(string(a), func(t *testing.T) {
			l := train(t, small(a), 12, 300)
			x, label := clusters(rand.New(rand.NewPCG(5, 5)), 12, 8, 600)
			e := Eval{Coder: l.Export()}
			if err := e.Add(x, 600); err != nil {
				t.Fatal(err)
			}
			m := e.Metrics()
			if m["fvu"] > 0.02 || m["rows"] != 600 {
				t.Errorf("metrics %v, want fvu below .02", m)
			}
			if lines := Alarms(m); len(lines) > 0 {
				t.Errorf("alarms %q", lines)
			}
			if small(a).Ids > 1 {
				return
			}
			of := map[int32]int{}
			for i, k := range e.ids {
				if c, ok := of[k]; ok && c != label[i] {
					t.Fatalf("code %d stands for clusters %d and %d", k, c, label[i])
				}
				of[k] = label[i]
			}
		})
	}
}

// Any split of a batch into micro-batches gives the parameters of the whole batch.
func TestAccumulation(t *testing.T) {
	for _, a := range Archs {
		t.Run(string(a), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				sizes := rapid.SliceOfN(rapid.IntRange(1, 40), 1, 6).Draw(rt, "micro-batches")
				seed := rapid.Uint64().Draw(rt, "seed")
				n := 0
				for _, s := range sizes {
					n += s
				}
				x, _ := clusters(rand.New(rand.NewPCG(seed, 3)), 9, 8, n)
				cfg := small(a)
				cfg.DeadShare, cfg.KMeansSteps = .5, 1
				whole, parts := begun(t, cfg), begun(t, cfg)
				if !slices.Equal(encoded(t, whole, x, n), encoded(t, whole, x, sizes...)) {
					return // a row as near to two codes as rounding is large, which may differ with the rows beside it
				}
				m := step(t, whole, x, n, 1e-3)
				for name, v := range step(t, parts, x, n, 1e-3, sizes...) {
					if !near(m[name], v, 1e-5*(1+math.Abs(v))) {
						rt.Fatalf("%s: %v, in parts %v", name, m[name], v)
					}
				}
				within := 1e-6
				if a.Defaults().LR > 0 {
					within = 3e-5 // 3 % of a step: Adam's division makes the last bit of a small gradient larger
				}
				if name, by := apart(t, whole, parts); by > within {
					rt.Fatalf("%s differs by %v", name, by)
				}
			})
		})
	}
}

// encoded is the ids of rows of 8 that a learner's tokenizer gives them in parts of the given sizes.
func encoded(t testing.TB, l Learner, x []float32, sizes ...int) (ids []int32) {
	t.Helper()
	c := l.Export()
	for _, n := range sizes {
		part := make([]int32, n*c.Dims().Ids)
		if err := c.Encode(x[:n*8], n, part); err != nil {
			t.Fatal(err)
		}
		ids, x = append(ids, part...), x[n*8:]
	}
	return ids
}

// begun is a learner of rows of 8 after Init.
func begun(t testing.TB, cfg Config) Learner {
	t.Helper()
	return train(t, cfg, 9, 0)
}

// apart is the greatest difference between what two learners saved, relative to values above 1.
func apart(t testing.TB, a, b Learner) (name string, by float64) {
	t.Helper()
	va, vb := saved(t, a), saved(t, b)
	for _, n := range slices.Sorted(maps.Keys(va)) {
		for i, v := range va[n] {
			if d := math.Abs(float64(v)-float64(vb[n][i])) / max(1, math.Abs(float64(v))); d > by {
				name, by = n, d
			}
		}
	}
	return name, by
}

// saved is what a learner's tokenizer holds.
func saved(t testing.TB, l Learner) map[string][]float32 {
	t.Helper()
	switch c := l.Export().(type) {
	case *Codebooks:
		return map[string][]float32{"codebook": c.codes}
	case *VQVAE:
		out := map[string][]float32{}
		for _, p := range append(c.enc.params("encoder"), c.dec.params("decoder")...) {
			out[p.Name] = p.Value
		}
		if b, ok := c.quant.(*codebook); ok {
			out["codebook"] = b.codes
		}
		return out
	}
	return nil
}

func TestSaveLoad(t *testing.T) {
	for _, a := range Archs {
		l := train(t, small(a), 12, 5)
		path := filepath.Join(t.TempDir(), "coder.safetensors")
		if err := l.Export().Save(path); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path, 8, small(a))
		if err != nil {
			t.Fatal(err)
		}
		x, _ := clusters(rand.New(rand.NewPCG(6, 6)), 12, 8, 200)
		ids, again := make([]int32, 200*c.Dims().Ids), make([]int32, 200*c.Dims().Ids)
		if err := errors.Join(l.Export().Encode(x, 200, ids), c.Encode(x, 200, again)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(ids, again) {
			t.Errorf("%s: a loaded tokenizer gives other ids", a)
		}
		for _, other := range Archs {
			if _, err := Load(path, 8, small(other)); (err == nil) != (other == a || small(a).Ids*small(other).Ids == 1) {
				t.Errorf("%s loads as %s: %v", a, other, err)
			}
		}
		wide := small(a)
		wide.Codes, wide.Levels, wide.Hidden = 1<<19, []int{1 << 10, 1 << 9}, 1<<15
		if _, err := Load(path, 8, wide); !errors.Is(err, state.ErrMismatch) {
			t.Errorf("%s: absurd sizes: %v", a, err)
		}
	}
}

// A learner that goes on from a state takes the same steps.
func TestRestored(t *testing.T) {
	for _, a := range Archs {
		first := train(t, small(a), 12, 7)
		path := filepath.Join(t.TempDir(), "state.safetensors")
		if err := first.State().Save(path, nil); err != nil {
			t.Fatal(err)
		}
		second, err := New(8, small(a))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(second.State().Load(path), second.Restored()); err != nil {
			t.Fatal(err)
		}
		x, _ := clusters(rand.New(rand.NewPCG(8, 8)), 12, 8, 512)
		for range 3 {
			step(t, first, x, 512, rateOf(a))
			step(t, second, x, 512, rateOf(a))
		}
		if name, by := apart(t, first, second); by != 0 {
			t.Errorf("%s: %s differs by %v", a, name, by)
		}
	}
}

func TestRefusals(t *testing.T) {
	for says, change := range map[string]func(*Config){
		"unknown kind":                func(c *Config) { c.Arch = "vae" },
		"codes is 1":                  func(c *Config) { c.Codes = 1 },
		"ids is 0":                    func(c *Config) { c.Ids = 0 },
		"ids is 2, but ema":           func(c *Config) { c.Ids = 2 },
		"ids is 3, which does not":    func(c *Config) { c.Arch, c.Ids = Product, 3 },
		"levels: 1 is not":            func(c *Config) { c.Arch, c.Levels = FSQ, []int{8, 1} },
		"levels: their product":       func(c *Config) { c.Arch, c.Levels = FSQ, []int{1 << 11, 1 << 11} },
		"the list is empty":           func(c *Config) { c.Arch, c.Levels = FSQ, nil },
		"hidden is -1":                func(c *Config) { c.Arch, c.Hidden = IRIS, -1 },
		"code_width is 0":             func(c *Config) { c.Arch, c.Width = IRIS, 0 },
		"unknown loss \"l1\"":         func(c *Config) { c.Arch, c.Loss = FSQ, "l1" },
		"decay 1 with revival":        func(c *Config) { c.Decay = 1 },
		"decay NaN with revival":      func(c *Config) { c.Decay = math.NaN() },
		"revival below NaN":           func(c *Config) { c.DeadShare = math.NaN() },
		"vectors of 0 values":         func(c *Config) { c.Seed = 99 },
		"codes is 2097152, must be b": func(c *Config) { c.Codes = 1 << 21 },
	} {
		c, d := small(EMA), 8
		change(&c)
		if c.Seed == 99 {
			d = 0
		}
		if _, err := New(d, c); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v does not say %q", err, says)
		}
	}
}

// Bad rows: too few, all equal, not finite. A column that never changes is none.
func TestBadRows(t *testing.T) {
	for _, a := range Archs {
		l, err := New(8, small(a))
		if err != nil {
			t.Fatal(err)
		}
		x, _ := clusters(rand.New(rand.NewPCG(8, 8)), 12, 8, 64)
		if a != FSQ && l.Init(x, 3) == nil {
			t.Errorf("%s: fewer rows than codes are accepted", a)
		}
		if err := l.Init(make([]float32, 64*8), 64); err == nil || !strings.Contains(err.Error(), "spread of 0") {
			t.Errorf("%s: equal rows: %v", a, err)
		}
		for i := range 64 {
			x[i*8+2] = 5
		}
		if err := l.Init(x, 64); err != nil {
			t.Fatal(err)
		}
		if m := step(t, l, x, 64, rateOf(a)); !(m["fvu"] > 0) {
			t.Errorf("%s: with a constant column %v", a, m)
		}
		x[9] = float32(math.NaN())
		if err := l.Micro(x, 64); !errors.Is(err, optim.ErrNonFinite) {
			t.Errorf("%s: NaN: %v", a, err)
		}
		ids := []int32{int32(l.Export().Dims().Codes), 0, 0, 0}
		if err := l.Export().Decode(ids, 1, make([]float32, 8)); err == nil || !strings.Contains(err.Error(), "id 0 of a row is") {
			t.Errorf("%s: an id that is none: %v", a, err)
		}
		if l.Export().Encode(x[:7], 1, ids) == nil {
			t.Errorf("%s: a short row is accepted", a)
		}
	}
}
