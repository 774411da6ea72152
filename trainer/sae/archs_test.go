package sae

import (
	"cmp"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"actfleet/trainer/optim"
)

// The published example: k = 2 keeps {5, 4, 3, 2} of two rows, and the threshold is 2.
func TestBatchTopKVector(t *testing.T) {
	pre := []float32{5, 1, 0, 2, 3, 4, .5, 0}
	s := newSelector(4)
	s.more(pre, 0, 0)
	s.shrink()
	var c Codes
	if least := c.keep(s.cand, 2, 4); least != 2 || averageTheta(-1, float64(least)) != 2 {
		t.Errorf("threshold %v, want 2", least)
	}
	i0, v0 := c.Row(0)
	i1, v1 := c.Row(1)
	if !slices.Equal(i0, []int32{0, 3}) || !slices.Equal(v0, []float32{5, 2}) || !slices.Equal(i1, []int32{0, 1}) || !slices.Equal(v1, []float32{3, 4}) {
		t.Errorf("rows %v %v and %v %v", i0, v0, i1, v1)
	}
}

// A batch in which nothing fires leaves the threshold as it is.
func TestThresholdAverage(t *testing.T) {
	for _, c := range []struct{ theta, least, want float64 }{{-1, 0, -1}, {-1, 3, 3}, {2, 0, 2}, {2, 3, 2.01}} {
		if got := averageTheta(c.theta, c.least); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v after %v: %v, want %v", c.theta, c.least, got, c.want)
		}
	}
}

// Computed by hand for θ = .5 and ε = .1.
func TestJumpVector(t *testing.T) {
	for _, c := range []struct{ a, f, dTheta, dStep float64 }{
		{.50, 0, -5, -10}, {.52, .52, -5, -10}, {.49, 0, -5, -10}, {.60, .6, 0, 0}, {.20, 0, 0, 0},
	} {
		f, dTheta, dStep := jump(c.a, .5, .1)
		if f != c.f || dTheta != c.dTheta || dStep != c.dStep {
			t.Errorf("a %v: %v, %v, %v, want %v, %v, %v", c.a, f, dTheta, dStep, c.f, c.dTheta, c.dStep)
		}
	}
}

// A family is an architecture with what belongs to it.
type family struct {
	name   string
	change func(*Config)
}

// families are all that train by other equations than TopK alone.
var families = []family{
	{"multitopk", func(c *Config) { c.Arch = MultiTopK }},
	{"batchtopk", func(c *Config) { c.Arch = BatchTopK }},
	{"matryoshka", func(c *Config) { c.Arch = Matryoshka }},
	{"matryoshka sampled", func(c *Config) { c.Arch, c.Sampled = Matryoshka, true }},
	{"relu", func(c *Config) { c.Arch = ReLU }},
	{"relu untied", func(c *Config) { c.Arch, c.Untied = ReLU, true }},
	{"relu_april", func(c *Config) { c.Arch = ReLUApril }},
	{"p_anneal", func(c *Config) { c.Arch, c.Sparsity, c.Steps, c.PFrom, c.PEnd = ReLU, PAnneal, 1000, -200, 0.2 }},
	{"hoyer", func(c *Config) { c.Arch, c.Sparsity = ReLU, Hoyer }},
	{"group", func(c *Config) { c.Arch, c.Sparsity, c.GroupSize = ReLU, Group, 3 }},
	{"group_hoyer", func(c *Config) { c.Arch, c.Sparsity, c.GroupSize = ReLU, GroupHoyer, 3 }},
	{"gated", func(c *Config) { c.Arch = Gated }},
	{"gated with a target", func(c *Config) { c.Arch, c.TargetL0 = Gated, 3 }},
	{"p_anneal with a target", func(c *Config) {
		c.Arch, c.Sparsity, c.Steps, c.PFrom, c.PEnd, c.TargetL0 = ReLU, PAnneal, 1000, -200, 0.2, 3
	}},
	{"jumprelu", func(c *Config) { c.Arch = JumpReLU }},
	{"jumprelu_tanh", func(c *Config) { c.Arch, c.Preact, c.Theta = JumpReLUTanh, 0.5, 0.53 }},
	{"transcoder", func(c *Config) { c.Arch, c.Target = TopK, 2 }},
	{"transcoder with skip", func(c *Config) { c.Arch, c.Target, c.Skip = MultiTopK, 2, true }},
	{"nested transcoder", func(c *Config) { c.Arch, c.Target, c.Skip = Matryoshka, 2, true }},
	{"gated transcoder", func(c *Config) { c.Arch, c.Target, c.Skip = Gated, 2, true }},
	{"crosscoder", func(c *Config) { c.Arch, c.Parts = ReLUApril, []int{2, 4} }},
	{"crosscoder topk", func(c *Config) { c.Arch, c.Parts = TopK, []int{2, 4} }},
	{"crosscoder relu", func(c *Config) { c.Arch, c.Parts = ReLU, []int{2, 4} }},
	{"importance", func(c *Config) { c.Arch, c.Importance = TopK, []float32{4, 1, 1, 0.25, 0.25, 1} }},
}

// config is the numbers of gradCfg with those of the family.
func (f family) config() Config {
	c := gradCfg
	c.Penalty, c.Warmup, c.Bandwidth, c.Theta, c.Prefixes = 0.75, 4, 0.25, 0.5, 3
	f.change(&c)
	return c
}

// exact is exactLearner of a family for rows of d values.
func (f family) exact(t testing.TB, seed uint64, d int) *Learner {
	l := exactLearner(t, rand.New(rand.NewPCG(seed, 1)), d, f.config())
	r := rand.New(rand.NewPCG(seed, 3))
	for _, v := range [][]float32{l.RMag, l.BMag, l.WSkip} {
		dyadic(r, v)
	}
	for j := range l.gainOut {
		l.gainOut[j] = []float32{0.5, 1, 2}[j%3]
	}
	if l.Arch.Activation() == JumpReLUActivation {
		for i := range l.M {
			l.variant.reset(i)
		}
	}
	l.variant.sync()
	l.beginBatch()
	return l
}

// Any split of a batch into micro-batches gives the step of the whole batch: weights, metrics,
// thresholds and dead counters.
func TestArchAccumulation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const d = 6
		f := families[rapid.IntRange(0, len(families)-1).Draw(rt, "family")]
		seed := rapid.Uint64().Draw(rt, "seed")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 30), 1, 6).Draw(rt, "micro-batches")
		n := 0
		for _, s := range sizes {
			n += s
		}
		x := make([]float32, n*d)
		dyadic(rand.New(rand.NewPCG(seed, 9)), x)
		whole, parts := f.exact(t, seed, d), f.exact(t, seed, d)
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
		same(t, f.name, whole, parts)
	})
}

func same(t *testing.T, name string, whole, parts *Learner) {
	wantM, err1 := whole.Step(1e-3)
	gotM, err2 := parts.Step(1e-3)
	if err := cmp.Or(err1, err2); err != nil {
		t.Fatal(err)
	}
	for metric, v := range wantM {
		if math.Abs(v-gotM[metric]) > 1e-5*(1e-9+math.Abs(v)) || whole.Arch.Activation() == ThresholdActivation && v != gotM[metric] {
			t.Fatalf("%s of %s: %v, in parts %v", metric, name, v, gotM[metric])
		}
	}
	if !slices.Equal(whole.since, parts.since) || relative(parts.Theta, whole.Theta) > 1e-5 {
		t.Fatalf("%s: counters %v or thresholds %v differ, in parts %v and %v", name, whole.since, whole.Theta, parts.since, parts.Theta)
	}
	if whole.Arch.Activation() == ThresholdActivation && !slices.Equal(whole.WDec, parts.WDec) {
		t.Fatal("batchtopk: other bits in parts")
	}
}

func (f family) plan() Config {
	c := Config{Width: 96, K: 3, AuxK: 16, AuxCoef: 1. / 32, DeadTokens: 8000, Clip: 1, Scale: true, Prefixes: 3, Warmup: 20, Bandwidth: 0.5, Theta: 0.3}
	f.change(&c)
	c.Penalty = map[Arch]float64{ReLU: 2, ReLUApril: 1, JumpReLU: 0.3, Gated: 2, JumpReLUTanh: 0.1}[c.Arch]
	switch c.Sparsity {
	case Hoyer, GroupHoyer:
		c.Penalty = 3
	case Group:
		c.Penalty = 2
	}
	c.GroupSize = 1 // what is planted has no groups
	if c.Preact > 0 {
		c.Preact, c.Bandwidth, c.Theta = 1e-3, 0.5, 0.1
	}
	if c.Parts != nil {
		c.Parts, c.Penalty = []int{12, 20}, c.Penalty/2
	}
	if c.Importance != nil {
		c.Importance = slices.Repeat([]float32{0.5, 1.5}, 16)
	}
	c.PFrom, c.Steps = 100, 600
	switch {
	case c.Arch.Defaults(32).AuxK > 0:
		c.Steps = 300
	case c.Sparsity == PAnneal && c.TargetL0 > 0:
		c.Steps = 800 // two things move λ
	}
	return c
}

// Every family learns planted directions, and what is saved measures as it did in training.
func TestArchsLearn(t *testing.T) {
	for _, f := range families {
		if f.plan().Target > 0 {
			continue // TestTranscoder
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			l, dict := trainPlanted(t, f.plan(), f.plan().Steps)
			m := saved(t, l)
			x := planted(rand.New(rand.NewPCG(8, 8)), dict, l.D, 3, 1000)
			got := agreeing(t, l, m, x, 1000)
			dec := slices.Clone(l.WDec)
			for j, g := range l.gainOut {
				for i := range l.M {
					dec[i*l.D+j] /= g
				}
			}
			setLengths(dec, l.D, 1)
			want := 0.85
			if l.Arch == JumpReLUTanh {
				want = 0.6 // nothing brings its dead latents back
			}
			if mmcs := recovered(dict, dec, l.D); mmcs < want || got["fvu"] > 0.2 || got["l0"] > 12 {
				t.Errorf("mean best cosine %.3f, metrics %v", mmcs, got)
			}
		})
	}
}

// saved is the model as its file gives it.
func saved(t *testing.T, l *Learner) *Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "coder.safetensors")
	if err := l.Export().Save(path); err != nil {
		t.Fatal(err)
	}
	m, err := Load(path, l.Shape)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// agreeing is the metrics of m, which must be those of the learner.
func agreeing(t *testing.T, l *Learner, m *Model, x []float32, n int) map[string]float64 {
	t.Helper()
	e, now := Eval{Model: m}, Eval{Model: l.Model}
	if err := cmp.Or(e.Add(x, n), now.Add(x, n)); err != nil {
		t.Fatal(err)
	}
	got, want := e.Metrics(), now.Metrics()
	if math.Abs(got["fvu"]-want["fvu"]) > 1e-4 || math.Abs(got["l0"]-want["l0"]) > 0.01 {
		t.Errorf("saved %v, in training %v", got, want)
	}
	return got
}

// A transcoder predicts a nonlinear function of the vector it sees, and a skip connection takes over
// what is linear in it.
func TestTranscoder(t *testing.T) {
	for _, f := range families {
		c := f.plan()
		if c.Target == 0 {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			const d, n = 16, 256
			c.Target = 8
			r := rand.New(rand.NewPCG(4, 4))
			w := unitDirections(r, 24, d)
			out := unitDirections(r, 24, c.Target)
			row := func() []float32 { return mapped(r, w, out, d, c.Target, n) }
			l, err := New(d+c.Target, c)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Init(row(), n); err != nil {
				t.Fatal(err)
			}
			for step := range 400 {
				if err := l.Micro(row(), n); err != nil {
					t.Fatal(err)
				}
				if _, err := l.Step(5e-3 * optim.Schedule(step, 400, 10, 80, false)); err != nil {
					t.Fatal(err)
				}
			}
			if got := agreeing(t, l, saved(t, l), row(), n); got["fvu"] > 0.25 {
				t.Errorf("metrics %v", got)
			}
		})
	}
}

// mapped are rows of x, a sum of two directions, and Σ ReLU(⟨w_i, x⟩ − ½) o_i, off centre and on
// another scale.
func mapped(r *rand.Rand, w, out []float32, d, target, n int) (rows []float32) {
	for range n {
		x, y := make([]float32, d), make([]float32, target)
		for range 2 {
			i := r.IntN(len(w) / d)
			axpy(1+r.Float32(), w[i*d:(i+1)*d], x)
		}
		for i := range len(w) / d {
			axpy(max(dot(x, w[i*d:(i+1)*d])-0.5, 0), out[i*target:(i+1)*target], y)
		}
		for j := range x {
			x[j] = 5*x[j] + 3
		}
		for j := range y {
			y[j] = 0.1*y[j] - 2
		}
		rows = append(append(rows, x...), y...)
	}
	return rows
}

// A training that goes on from its state takes the same steps.
func TestArchsResume(t *testing.T) {
	for _, f := range families {
		c := f.plan()
		c.Resample, c.DeadTokens = 2, 600
		if c.Target > 0 {
			c.Target = 8
		}
		l, dict := trainPlanted(t, c, 5)
		path := filepath.Join(t.TempDir(), "state.safetensors")
		if err := l.State().Save(path, nil); err != nil {
			t.Fatal(err)
		}
		again, err := New(l.Row(), c)
		if err != nil {
			t.Fatal(err)
		}
		if err := cmp.Or(again.State().Load(path), again.Restored()); err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(5, 5))
		for range 3 {
			x := planted(r, dict, l.Row(), 3, 100)
			for _, m := range []*Learner{l, again} {
				if err := m.Micro(x, 100); err != nil {
					t.Fatal(err)
				}
				if _, err := m.Step(1e-3); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !slices.Equal(l.WDec, again.WDec) || !slices.Equal(l.WEnc, again.WEnc) || !slices.Equal(l.Theta, again.Theta) {
			t.Errorf("%s: other weights after resuming", f.name)
		}
	}
}

// What a training gets where nobody chooses stands in cfg.json files, and so never changes unnoticed.
func TestDefaultsOfArchitectures(t *testing.T) {
	want := map[Arch]Defaults{
		TopK:         {AuxK: 16, Penalty: 1, Warmup: 0.05, Bandwidth: 0.5, Theta: 0.3},
		MultiTopK:    {AuxK: 16, Penalty: 1, Warmup: 0.05, Bandwidth: 0.5, Theta: 0.3},
		BatchTopK:    {AuxK: 16, Penalty: 1, Warmup: 0.05, Bandwidth: 0.5, Theta: 0.3},
		Matryoshka:   {AuxK: 16, Penalty: 1, Warmup: 0.05, Bandwidth: 0.5, Theta: 0.3},
		ReLU:         {Penalty: 1, Warmup: 0.05, Bandwidth: 0.5, Theta: 0.3},
		ReLUApril:    {Penalty: 5, Warmup: 0.05, Bandwidth: 0.5, Theta: 0.3},
		Gated:        {Penalty: 1, Warmup: 0.05, Bandwidth: 0.5, Theta: 0.3},
		JumpReLU:     {Penalty: 1, Warmup: 0.05, Bandwidth: 0.5, Theta: 0.3},
		JumpReLUTanh: {Penalty: 1, Warmup: 1, Bandwidth: 2, Theta: 0.1},
	}
	if len(Archs) != len(want) {
		t.Errorf("%d architectures, want %d", len(Archs), len(want))
	}
	for _, a := range Archs {
		if got := a.Defaults(32); got != want[a] {
			t.Errorf("%s: %+v, want %+v", a, got, want[a])
		}
	}
	if got := TopK.Defaults(1).AuxK; got != 1 {
		t.Errorf("aux_k of vectors of length 1 is %d, want 1", got)
	}
}
