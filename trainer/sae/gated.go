package sae

import (
	"math"
	"slices"

	"actfleet/internal/torch"
	"actfleet/trainer/optim"
	"actfleet/trainer/parallel"
	"actfleet/trainer/ranks"
)

// Gated chooses latents by gates, which carry the penalty, and gives them magnitudes from a scaled copy of the encoder,
// which do not (Rajamanoharan et al. 2024, arXiv:2404.16014). Gates π = W_e z + b_e are the pre-activations here.
const Gated Arch = "gated"

var archGated = architecture{
	arch: Gated, activation: GatedActivation, defaults: usual,
	variant: func(l *Learner) variant { return &gated{base: base{l}, penalty: newPenalty(l, L1, false)} },
}

type gated struct {
	base
	penalty *penalty
	gates   []float32 // ReLU(π) of every entry of the codes
	loss    float64   // Σ‖Σ ReLU(π_i) d_i − t‖² of the batch, the gates' own reconstruction
}

func (v *gated) params() []optim.Param {
	l, shape := v.l, []int{v.l.M}
	return []optim.Param{
		{Name: "r_mag", Shape: shape, Value: l.RMag, Grad: l.grad.RMag},
		{Name: "b_mag", Shape: shape, Value: l.BMag, Grad: l.grad.BMag},
	}
}

func (v *gated) reset(i int) { v.l.RMag[i], v.l.BMag[i] = 0, 0 }

func (v *gated) beginBatch() {
	v.penalty.beginBatch()
	v.loss = 0
}

// choose keeps the latents whose gate is open: their value is f, which may be 0.
func (v *gated) choose(pre []float32, n int) {
	c := &v.l.work.codes
	c.above(pre, n, v.l.M, nil)
	v.gates = append(v.gates[:0], c.Val...)
	for e, i := range c.Idx {
		c.Val[e] = max(v.l.magnitude(int(i), v.gates[e]), 0)
	}
}

func (v *gated) backward(n int) error {
	return v.l.backwardMain(n, func() { v.backwardGates(n) })
}

// backwardGates turns ∂f into the gradients of r, b_m and W_e z of every entry. The loss of the gates
// reaches neither d nor b_d through the decoder.
func (v *gated) backwardGates(n int) {
	l, w, g := v.l, &v.l.work, float32(2/v.l.consts[constVariance])
	gates := w.codes
	gates.Val = v.gates
	v.loss += l.residuals(&gates, w.ra, n)
	toMag := slices.Clone(w.dval)
	l.toValues(&w.codes, w.ra, g) // ∂π
	v.penalty.add(v.gates)
	w.order.each(func(i int, entries []int32) {
		factor := math.Exp(float64(l.RMag[i]))
		for _, e := range entries {
			if w.codes.Val[e] <= 0 {
				continue
			}
			m := float64(toMag[e])
			l.grad.RMag[i] += float32(m * factor * float64(v.gates[e]-l.BEnc[i]))
			l.grad.BMag[i] += float32(m)
			w.dval[e] += float32(m * factor)
		}
	})
}

func (v *gated) tensors(p *pass) *torch.Tensor {
	c, value := p.all(), p.d.value
	inner := p.Mul(p.Exp(value["r_mag"]), p.Minus(c.a, value["b_enc"]))
	open := p.To(p.GtScalar(p.Detach(c.a), 0), torch.F32)
	f := p.Mul(open, p.Relu(p.Add(inner, value["b_mag"])))
	gates := p.Relu(c.a)
	rec := p.Add(p.decodeWith(p.Detach(value["W_dec"]), c, gates), p.Detach(value["b_dec"]))
	if v.l.WSkip != nil {
		rec = p.Add(rec, p.Detach(p.Linear(p.z, value["W_skip"], nil)))
	}
	own := p.Minus(rec, p.target)
	p.sum("gates", p.Sum(p.Square(own)), func(sum []float64) { v.loss = sum[0] })
	loss := p.Add(p.errors(p.main(c, f)), p.errors(own))
	return p.Add(loss, v.penalty.tensors(p, gates))
}

func (v *gated) sums(b *ranks.Bucket) {
	v.penalty.sums(b)
	ranks.Number(b, &v.loss)
}

// finish takes from ∂b_e what came through the magnitudes, which see W_e z without b_e. The share that reaches b_d
// through the encoder has been taken from it before.
func (v *gated) finish() {
	l := v.l
	parallel.For(l.M, rowGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			l.grad.BEnc[i] -= float32(math.Exp(float64(l.RMag[i]))) * l.grad.BMag[i]
		}
	})
	v.penalty.finish()
}

func (v *gated) metrics(m map[string]float64, n float64) {
	m["gate"] = v.loss / (n * v.l.consts[constVariance])
	m["loss"] += m["gate"]
	v.penalty.metrics(m, n)
}
