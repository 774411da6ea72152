package sae

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"actfleet/internal/torch"
)

// dyadic fills with multiples of 1/8 in [-1, 1]: sums of products of few of them
// are exact in float32, so that no split into micro-batches can move a tie.
func dyadic(r *rand.Rand, v []float32) {
	for i := range v {
		v[i] = float32(r.IntN(17)-8) / 8
	}
}

// exactLearner has dyadic weights that are not unit rows, and some dead latents.
func exactLearner(t testing.TB, r *rand.Rand, d int, cfg Config) *Learner {
	t.Helper()
	l, err := New(d, cfg)
	if err != nil {
		t.Fatal(err)
	}
	dyadic(r, l.WEnc)
	dyadic(r, l.BEnc)
	dyadic(r, l.WDec)
	dyadic(r, l.BDec)
	l.scale, l.consts[constScale] = 0.5, 0.5
	l.consts[constVariance], l.consts[constAuxVar] = 8, 2
	for i := range l.since {
		if i%3 == 0 {
			l.since[i] = int64(cfg.DeadTokens)
		}
	}
	if err := l.Restored(); err != nil {
		t.Fatal(err)
	}
	return l
}

var gradCfg = Config{Width: 24, K: 4, AuxK: 3, AuxCoef: 1. / 32, DeadTokens: 100, Scale: true}

// gradients is the sum of the batch's gradients, by parameter.
func (l *Learner) gradients() map[string][]float32 {
	l.biasGradient()
	out := map[string][]float32{}
	for _, p := range l.params {
		out[p.Name] = append([]float32(nil), p.Grad...)
	}
	return out
}

// relative is the greatest difference over the greatest value of want.
func relative(got, want []float32) float64 {
	var diff, size float64
	for i, w := range want {
		diff = max(diff, math.Abs(float64(got[i]-w)))
		size = max(size, math.Abs(float64(w)))
	}
	return diff / max(size, 1e-30)
}

// The written-out gradients equal autograd's of the dense, literal loss.
func TestGradientAgainstAutograd(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const d, n = 6, 40
	l := exactLearner(t, r, d, gradCfg)
	x := make([]float32, n*d)
	dyadic(r, x)
	if err := l.Micro(x, n); err != nil {
		t.Fatal(err)
	}
	if l.variant.(*topK).aux.sum == 0 {
		t.Fatal("the auxiliary loss is not exercised")
	}
	wantLoss, want := autograd(t, l, x, n)
	loss := l.batch.loss/l.consts[constVariance] + l.cfg.AuxCoef*l.variant.(*topK).aux.sum/l.consts[constAuxVar]
	if math.Abs(loss-wantLoss) > 1e-5*wantLoss {
		t.Errorf("loss %v, want %v", loss, wantLoss)
	}
	for name, g := range l.gradients() {
		if diff := relative(g, want[name]); diff > 2e-6 {
			t.Errorf("gradient of %s differs by %.2g", name, diff)
		}
	}
}

// autograd is the readable reference: the loss of the package doc, times N, with a
// dense code matrix.
func autograd(t *testing.T, l *Learner, x []float32, n int) (loss float64, grads map[string][]float32) {
	t.Helper()
	d, m := int64(l.D), int64(l.M)
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
		xs := s.MulScalar(torch.FromFloat32(s, x, int64(n), d), float64(l.scale))
		pre := s.Linear(s.Minus(xs, p["b_dec"]), p["W_enc"], p["b_enc"]) // [N, M]
		codes := topMask(s, pre, l.K, l.M)
		rec := s.Add(s.MatMul(codes, p["W_dec"]), p["b_dec"])
		main := s.Sum(s.Square(s.Minus(rec, xs)))

		alive := make([]float32, m)
		for i := range alive {
			alive[i] = -1e9
		}
		for _, i := range l.dead {
			alive[i] = 0
		}
		aux := topMask(s, s.Add(pre, torch.FromFloat32(s, alive, m)), min(l.cfg.AuxK, len(l.dead)), l.M)
		e := s.Detach(s.Minus(xs, rec))
		auxLoss := s.Sum(s.Square(s.Minus(s.MatMul(aux, p["W_dec"]), e)))
		total := s.Add(s.MulScalar(main, 1/l.consts[constVariance]), s.MulScalar(auxLoss, l.cfg.AuxCoef/l.consts[constAuxVar]))
		s.Backward(total)
		loss, grads = total.Item(), map[string][]float32{}
		for name, q := range p {
			grads[name] = append([]float32(nil), s.Contiguous(s.Grad(q)).Float32s()...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return loss, grads
}

// topMask is ReLU of pre where it is among the k largest positive of its row; the
// choice is slowTop's, so that ties go to the lower index.
func topMask(s *torch.Scope, pre *torch.Tensor, k, m int) *torch.Tensor {
	values := s.Contiguous(s.Detach(pre)).Float32s()
	mask := make([]float32, len(values))
	for b := 0; b < len(values); b += m {
		for i := range slowTop(values[b:b+m], k) {
			mask[b+int(i)] = 1
		}
	}
	return s.Mul(pre, torch.FromFloat32(s, mask, int64(len(values)/m), int64(m)))
}

// Any split of a batch into micro-batches, ragged ones too, gives the gradient, the
// metrics and the dead counters of the whole batch.
func TestAccumulation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const d = 5
		seed := rapid.Uint64().Draw(rt, "seed")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 30), 1, 6).Draw(rt, "micro-batches")
		n := 0
		for _, s := range sizes {
			n += s
		}
		r := rand.New(rand.NewPCG(seed, 9))
		x := make([]float32, n*d)
		dyadic(r, x)
		whole := exactLearner(t, rand.New(rand.NewPCG(seed, 1)), d, gradCfg)
		parts := exactLearner(t, rand.New(rand.NewPCG(seed, 1)), d, gradCfg)
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
		want := whole.gradients()
		for name, g := range parts.gradients() {
			if diff := relative(g, want[name]); diff > 1e-6 {
				t.Fatalf("gradient of %s differs by %.2g", name, diff)
			}
		}
		a, errA := whole.Step(1e-3)
		b, errB := parts.Step(1e-3)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		for name, v := range a {
			if math.Abs(v-b[name]) > 1e-6*(1e-9+math.Abs(v)) {
				t.Fatalf("%s: %v, in parts %v", name, v, b[name])
			}
		}
		for i := range whole.since {
			if whole.since[i] != parts.since[i] {
				t.Fatalf("latent %d: %d rows since it fired, in parts %d", i, whole.since[i], parts.since[i])
			}
		}
	})
}
