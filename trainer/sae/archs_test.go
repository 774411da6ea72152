package sae

import (
	"cmp"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"actfleet/internal/torch"
	"actfleet/trainer/optim"
)

// The published example: k = 2 keeps {5, 4, 3, 2} of two rows, and the threshold is 2.
func TestBatchTopKVector(t *testing.T) {
	pre := []float32{5, 1, 0, 2, 3, 4, .5, 0}
	s := newSelector(4)
	s.more(pre, 0, 0)
	s.shrink()
	var c Codes
	if least := c.take(s.cand, 2, 4); least != 2 || averaged(-1, float64(least)) != 2 {
		t.Errorf("threshold %v, want 2", least)
	}
	i0, v0 := c.Row(0)
	i1, v1 := c.Row(1)
	if !slices.Equal(i0, []int32{0, 3}) || !slices.Equal(v0, []float32{5, 2}) || !slices.Equal(i1, []int32{0, 1}) || !slices.Equal(v1, []float32{3, 4}) {
		t.Errorf("rows %v %v and %v %v", i0, v0, i1, v1)
	}
}

// A window in which nothing fires leaves the threshold as it is.
func TestThresholdAverage(t *testing.T) {
	for _, c := range []struct{ theta, least, want float64 }{{-1, 0, -1}, {-1, 3, 3}, {2, 0, 2}, {2, 3, 2.01}} {
		if got := averaged(c.theta, c.least); math.Abs(got-c.want) > 1e-12 {
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

func archCfg(a Arch) Config {
	c := gradCfg
	c.Arch, c.Penalty, c.Rise, c.Bandwidth, c.Theta, c.Groups = a, 0.75, 4, 0.25, 0.5, 3
	return c
}

// exactArch is exactLearner with the numbers of an architecture.
func exactArch(t testing.TB, seed uint64, d int, a Arch) *Learner {
	l := exactLearner(t, rand.New(rand.NewPCG(seed, 1)), d, archCfg(a))
	l.beginArch()
	return l
}

var others = []Arch{BatchTopK, ReLU, ReLUApril, JumpReLU, Matryoshka}

// The written-out gradients equal autograd's of the dense, literal loss.
func TestArchGradients(t *testing.T) {
	for _, a := range others {
		t.Run(string(a), func(t *testing.T) {
			const d, n = 6, 40
			l := exactArch(t, 1, d, a)
			x := make([]float32, n*d)
			dyadic(rand.New(rand.NewPCG(2, 2)), x)
			if err := l.Micro(x, n); err != nil {
				t.Fatal(err)
			}
			if err := l.chooseHeld(); err != nil {
				t.Fatal(err)
			}
			want := literal(t, l, x, n)
			got := l.gradients()
			l.payPenalty()
			got["W_dec"] = l.grad.WDec
			for name, g := range got {
				if squareNorm(want[name]) == 0 {
					t.Errorf("the gradient of %s is not exercised", name)
				}
				if diff := relative(g, want[name]); diff > 3e-6 {
					t.Errorf("gradient of %s differs by %.2g", name, diff)
				}
			}
		})
	}
}

// literal is the readable reference: gradients of the loss of the package doc, times N, with a dense
// code matrix.
func literal(t *testing.T, l *Learner, x []float32, n int) map[string][]float32 {
	t.Helper()
	grads := map[string][]float32{}
	err := torch.DoGrad(func(s *torch.Scope) error {
		p := map[string]*torch.Tensor{}
		for _, q := range l.params {
			dims := make([]int64, len(q.Shape))
			for i, v := range q.Shape {
				dims[i] = int64(v)
			}
			p[q.Name] = s.Param(torch.FromFloat32(s, q.Value, dims...))
			defer p[q.Name].Free()
		}
		xs := s.MulScalar(torch.FromFloat32(s, x, int64(n), int64(l.D)), float64(l.scale))
		z := xs
		if !l.plain {
			z = s.Minus(xs, p["b_dec"])
		}
		pre := s.Linear(z, p["W_enc"], p["b_enc"])
		codes, paid := literalCodes(s, l, p, pre)
		rec := s.Add(s.MatMul(codes, p["W_dec"]), p["b_dec"])
		total := s.Add(s.MulScalar(literalLoss(s, l, p, codes, xs), 1/l.consts[constVariance]), s.MulScalar(paid, l.lambda()))
		if l.Arch.OverBatch() {
			total = s.Add(total, literalAux(s, l, p, pre, s.Detach(s.Minus(xs, rec))))
		}
		s.Backward(total)
		for name, q := range p {
			grads[name] = append([]float32(nil), s.Contiguous(s.Grad(q)).Float32s()...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return grads
}

// literalLoss is Σ‖r‖², for matryoshka the mean over 1/4, 1/2 and all of the latents.
func literalLoss(s *torch.Scope, l *Learner, p map[string]*torch.Tensor, codes, xs *torch.Tensor) *torch.Tensor {
	first := []int{l.M}
	if l.Arch == Matryoshka {
		first = []int{l.M / 4, l.M / 2, l.M}
	}
	total := s.MulScalar(s.Sum(codes), 0)
	for _, m := range first {
		rec := s.MatMul(s.Narrow(codes, 1, 0, int64(m)), s.Narrow(p["W_dec"], 0, 0, int64(m)))
		r := s.Minus(s.Add(rec, p["b_dec"]), xs)
		total = s.Add(total, s.MulScalar(s.Sum(s.Square(r)), 1/float64(len(first))))
	}
	return total
}

// literalAux is c·Σ‖ê−e‖²/V_a with the dead latents' k_aux largest.
func literalAux(s *torch.Scope, l *Learner, p map[string]*torch.Tensor, pre, e *torch.Tensor) *torch.Tensor {
	alive := make([]float32, l.M)
	for i := range alive {
		alive[i] = -1e9
	}
	for _, i := range l.dead {
		alive[i] = 0
	}
	aux := topMask(s, s.Add(pre, torch.FromFloat32(s, alive, int64(l.M))), min(l.cfg.AuxK, len(l.dead)), l.M)
	return s.MulScalar(s.Sum(s.Square(s.Minus(s.MatMul(aux, p["W_dec"]), e))), l.cfg.AuxCoef/l.consts[constAuxVar])
}

// literalCodes is f [N, M] and what is paid for it, before λ.
func literalCodes(s *torch.Scope, l *Learner, p map[string]*torch.Tensor, pre *torch.Tensor) (f, paid *torch.Tensor) {
	values := slices.Clone(s.Contiguous(s.Detach(pre)).Float32s())
	dims := []int64{int64(len(values) / l.M), int64(l.M)}
	switch l.Arch {
	case BatchTopK, Matryoshka:
		mask := make([]float32, len(values))
		for i := range slowTop(values, l.K*int(dims[0])) {
			mask[i] = 1
		}
		return s.Mul(pre, torch.FromFloat32(s, mask, dims...)), s.MulScalar(s.Sum(pre), 0)
	case JumpReLU:
		return literalJump(s, l, s.Exp(p["log_threshold"]), pre, values, dims)
	}
	f = s.Relu(pre)
	if !l.Arch.free() {
		return f, s.Sum(f)
	}
	return f, s.Sum(s.Mul(f, s.Sqrt(s.SumDim(s.Square(p["W_dec"]), 1, false))))
}

// literalJump has the pseudo-derivatives as factors of θ − sg(θ), which is 0.
func literalJump(s *torch.Scope, l *Learner, theta, pre *torch.Tensor, values []float32, dims []int64) (f, paid *torch.Tensor) {
	gate, dTheta, dStep := make([]float32, len(values)), make([]float32, len(values)), make([]float32, len(values))
	for i, a := range values {
		v, dt, ds := jump(float64(a), float64(l.Theta[i%l.M]), l.cfg.Bandwidth)
		dTheta[i], dStep[i] = float32(dt), float32(ds)
		if v > 0 {
			gate[i] = 1
		}
	}
	zero := s.Minus(theta, s.Detach(theta))
	g := torch.FromFloat32(s, gate, dims...)
	f = s.Add(s.Mul(pre, g), s.Mul(torch.FromFloat32(s, dTheta, dims...), zero))
	return f, s.Sum(s.Add(g, s.Mul(torch.FromFloat32(s, dStep, dims...), zero)))
}

// Any split of a batch into micro-batches gives the step of the whole batch: weights, metrics,
// thresholds and dead counters.
func TestArchAccumulation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const d = 5
		a := rapid.SampledFrom(others).Draw(rt, "arch")
		seed := rapid.Uint64().Draw(rt, "seed")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 30), 1, 6).Draw(rt, "micro-batches")
		n := 0
		for _, s := range sizes {
			n += s
		}
		x := make([]float32, n*d)
		dyadic(rand.New(rand.NewPCG(seed, 9)), x)
		whole, parts := exactArch(t, seed, d, a), exactArch(t, seed, d, a)
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
		same(t, a, whole, parts)
	})
}

func same(t *testing.T, a Arch, whole, parts *Learner) {
	wantM, err1 := whole.Step(1e-3)
	gotM, err2 := parts.Step(1e-3)
	if err := cmp.Or(err1, err2); err != nil {
		t.Fatal(err)
	}
	for name, v := range wantM {
		if math.Abs(v-gotM[name]) > 1e-5*(1e-9+math.Abs(v)) || a.OverBatch() && v != gotM[name] {
			t.Fatalf("%s of %s: %v, in parts %v", name, a, v, gotM[name])
		}
	}
	if !slices.Equal(whole.since, parts.since) || relative(parts.Theta, whole.Theta) > 1e-5 {
		t.Fatalf("%s: counters %v or thresholds %v differ, in parts %v and %v", a, whole.since, whole.Theta, parts.since, parts.Theta)
	}
	if a.OverBatch() && !slices.Equal(whole.WDec, parts.WDec) {
		t.Fatal("batchtopk: other bits in parts")
	}
}

func planCfg(a Arch) Config {
	return Config{Arch: a, Width: 96, K: 3, AuxK: 16, AuxCoef: 1. / 32, DeadTokens: 8000, Clip: 1, Scale: true,
		Penalty: map[Arch]float64{ReLU: 2, ReLUApril: 1, JumpReLU: 0.3}[a], Groups: 3, Rise: 20, Bandwidth: 0.5, Theta: 0.3}
}

// Every architecture learns planted directions, and what is saved measures as it did in training.
func TestArchsLearn(t *testing.T) {
	for _, a := range others {
		t.Run(string(a), func(t *testing.T) {
			t.Parallel()
			l, dict := trainPlanted(t, planCfg(a), 800)
			dec := slices.Clone(l.WDec)
			for i := range l.M {
				for j, n := 0, float32(l.length(i)); j < l.D; j++ {
					dec[i*l.D+j] /= n
				}
			}
			path := filepath.Join(t.TempDir(), "coder.safetensors")
			if err := l.Export().Save(path); err != nil {
				t.Fatal(err)
			}
			m, err := Load(path, a, l.D, l.M, l.K)
			if err != nil {
				t.Fatal(err)
			}
			x := planted(rand.New(rand.NewPCG(8, 8)), dict, l.D, 3, 1000)
			e, now := Eval{Model: m}, Eval{Model: l.Model}
			if err := cmp.Or(e.Add(x, 1000), now.Add(x, 1000)); err != nil {
				t.Fatal(err)
			}
			got, want := e.Metrics(), now.Metrics()
			if math.Abs(got["fvu"]-want["fvu"]) > 1e-4 || math.Abs(got["l0"]-want["l0"]) > 0.01 {
				t.Errorf("saved %v, in training %v", got, want)
			}
			if mmcs := recovered(dict, dec, l.D); mmcs < 0.9 || got["fvu"] > 0.2 || got["l0"] > 12 {
				t.Errorf("mean best cosine %.3f, metrics %v", mmcs, got)
			}
		})
	}
}

// A training that goes on from its state takes the same steps.
func TestArchsResume(t *testing.T) {
	for _, a := range others {
		l, dict := trainPlanted(t, planCfg(a), 5)
		path := filepath.Join(t.TempDir(), "state.safetensors")
		if err := l.State().Save(path, nil); err != nil {
			t.Fatal(err)
		}
		again, err := New(l.D, planCfg(a))
		if err != nil {
			t.Fatal(err)
		}
		if err := cmp.Or(again.State().Load(path), again.Restored()); err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(5, 5))
		for range 3 {
			x := planted(r, dict, l.D, 3, 100)
			for _, m := range []*Learner{l, again} {
				if err := m.Micro(x, 100); err != nil {
					t.Fatal(err)
				}
				if _, err := m.Step(1e-3 * optim.Schedule(0, 9, 0, 0)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !slices.Equal(l.WDec, again.WDec) || !slices.Equal(l.WEnc, again.WEnc) || !slices.Equal(l.Theta, again.Theta) {
			t.Errorf("%s: other weights after resuming", a)
		}
	}
}
