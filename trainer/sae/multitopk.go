package sae

import (
	"actfleet/internal/torch"
	"actfleet/trainer/ranks"
)

// MultiTopK is TopK with a second, smaller loss through more latents, which keeps latents beyond the first K useful
// (Gao et al. 2024, arXiv:2406.04093, section 5.3).
const MultiTopK Arch = "multitopk"

// The number of latents, in multiples of K, and the share of the second loss are the paper's.
const (
	moreTimes = 4
	moreShare = 1. / 8
)

var archMultiTopK = architecture{
	arch: MultiTopK, activation: TopKActivation, revives: true, defaults: usual,
	variant: func(l *Learner) variant { return &multiTopK{topK: topK{base: base{l}, aux: auxLoss{l: l}}} },
}

type multiTopK struct {
	topK
	more Codes   // the second choice
	loss float64 // Σ‖r‖² through it
}

func (v *multiTopK) beginBatch() {
	v.topK.beginBatch()
	v.loss = 0
}

func (v *multiTopK) choose(pre []float32, n int) {
	v.topK.choose(pre, n)
	v.more.reset(n, min(moreTimes*v.l.K, v.l.M))
	v.more.choose(pre, v.l.M)
}

func (v *multiTopK) backward(n int) error {
	l, w := v.l, &v.l.work
	if err := l.backwardMain(n, nil); err != nil {
		return err
	}
	v.loss += l.residuals(&v.more, w.ra, n)
	l.backward(&v.more, w.ra, 2*moreShare/l.consts[constVariance], nil)
	if err := l.addBiasGrad(w.ra, n, moreShare); err != nil {
		return err
	}
	v.aux.backward(n)
	return nil
}

func (v *multiTopK) tensors(p *pass) *torch.Tensor {
	loss, pre := v.through(p)
	c := p.top(pre, min(moreTimes*v.l.K, v.l.M))
	r := p.residual(c, p.Relu(c.a))
	p.sum("more", p.Sum(p.Square(r)), func(sum []float64) { v.loss = sum[0] })
	return p.Add(loss, p.MulScalar(p.errors(r), moreShare))
}

func (v *multiTopK) sums(b *ranks.Bucket) {
	v.topK.sums(b)
	ranks.Number(b, &v.loss)
}

func (v *multiTopK) metrics(m map[string]float64, n float64) {
	v.topK.metrics(m, n)
	m["loss"] += moreShare * v.loss / (n * v.l.consts[constVariance])
}
