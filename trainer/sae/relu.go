package sae

import (
	"actfleet/internal/torch"
	"actfleet/trainer/ranks"
)

const (
	// ReLU keeps every positive latent, under a penalty whose form is a Sparsity.
	ReLU Arch = "relu"

	// ReLUApril is ReLU with directions of any length, by which an L1 penalty weights the activations (the
	// convention of Anthropic's update of April 2024).
	ReLUApril Arch = "relu_april"
)

var archReLU = architecture{
	arch: ReLU, sparsity: true, defaults: usual,
	variant: func(l *Learner) variant {
		return &relu{base: base{l}, penalty: newPenalty(l, l.cfg.Sparsity, l.Parts != nil)}
	},
}

var archReLUApril = architecture{
	arch: ReLUApril, free: true,
	defaults: Defaults{Penalty: 5, Warmup: usual.Warmup, Bandwidth: usual.Bandwidth, Theta: usual.Theta},
	variant:  func(l *Learner) variant { return &relu{base: base{l}, penalty: newPenalty(l, L1, true)} },
}

// relu is both.
type relu struct {
	base
	penalty *penalty
}

func (v *relu) beginBatch() { v.penalty.beginBatch() }

func (v *relu) choose(pre []float32, n int) { v.l.work.codes.above(pre, n, v.l.M, nil) }

func (v *relu) backward(n int) error { return v.l.backwardMain(n, v.penalty.backward) }

func (v *relu) tensors(p *pass) *torch.Tensor {
	c := p.all()
	f := p.Relu(c.a)
	return p.Add(p.errors(p.main(c, f)), v.penalty.tensors(p, f))
}

func (v *relu) sums(b *ranks.Bucket) { v.penalty.sums(b) }

func (v *relu) finish() { v.penalty.finish() }

func (v *relu) metrics(m map[string]float64, n float64) { v.penalty.metrics(m, n) }
