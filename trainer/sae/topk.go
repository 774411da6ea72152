package sae

import (
	"actfleet/internal/torch"
	"actfleet/trainer/ranks"
)

// TopK keeps the K largest positive latents of every row (Gao et al. 2024, arXiv:2406.04093).
const TopK Arch = "topk"

var archTopK = architecture{
	arch: TopK, activation: TopKActivation, revives: true, defaults: usual,
	variant: func(l *Learner) variant { return &topK{base: base{l}, aux: auxLoss{l: l}} },
}

type topK struct {
	base
	aux auxLoss
}

func (v *topK) beginBatch() { v.aux.sum = 0 }

func (v *topK) choose(pre []float32, n int) {
	v.l.activate(pre, n, &v.l.work.codes)
	v.aux.choose(pre, n)
}

func (v *topK) backward(n int) error {
	if err := v.l.backwardMain(n, nil); err != nil {
		return err
	}
	v.aux.backward(n)
	return nil
}

func (v *topK) tensors(p *pass) *torch.Tensor {
	loss, _ := v.through(p)
	return loss
}

// through is the loss, and the pre-activations it was chosen from.
func (v *topK) through(p *pass) (loss, pre *torch.Tensor) {
	pre = p.encode(p.z)
	c := p.top(pre, v.l.K)
	r := p.main(c, p.Relu(c.a))
	return v.aux.tensors(p, p.errors(r), r, v.aux.candidates(p, pre)), pre
}

func (v *topK) sums(b *ranks.Bucket) { v.aux.sums(b) }

func (v *topK) metrics(m map[string]float64, n float64) { v.aux.metrics(m, n) }
