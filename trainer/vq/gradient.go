package vq

import (
	"actfleet/trainer/optim"
	"actfleet/trainer/state"
)

// Gradient is one codebook, moved by the gradient of the codebook loss.
const Gradient Arch = "gradient"

// gradient is ema but for what moves the codes.
type gradient struct{ ema }

// On the residual stream of the model in examples/, codebooks were within 1 % of each other
// after 300 steps with learning rates from 5e-3 to 5e-2.
func (gradient) defaults() Defaults { return Defaults{Ids: 1, LR: 2e-2, DeadShare: movedShare} }

func (gradient) rule(s *codebookStats) updateRule { return newCodebookOptimizer(s) }

// codebookOptimizer moves a codebook by the gradient of its loss with SparseAdam: codes that
// nothing used in a step stay where they are, and remember nothing once revived.
type codebookOptimizer struct {
	optim.Optimizer
	stats *codebookStats
	param optim.Param
}

const codebookName = "codebook"

func newCodebookOptimizer(s *codebookStats) *codebookOptimizer {
	p := optim.Param{Name: codebookName, Shape: []int{s.k, s.w}, Value: s.codes, Grad: make([]float32, len(s.codes))}
	return &codebookOptimizer{Optimizer: optim.NewSparseAdam([]optim.Param{p}), stats: s, param: p}
}

// update takes a step on the mean over the batch's values.
func (o *codebookOptimizer) update(lr float64) {
	o.gradient(1 / float64(o.stats.rows*o.stats.w))
	o.Step(lr, 1)
}

// gradient writes weight·∂Σ‖sg(z)−e‖²/∂e = weight·2(n_k·e_k − Σ z) of the batch to the parameter.
func (o *codebookOptimizer) gradient(weight float64) {
	s := o.stats
	for k, c := range s.count {
		for j, e := range s.code(k) {
			i := k*s.w + j
			o.param.Grad[i] = float32(2 * weight * (float64(c)*float64(e) - s.sum[i]))
		}
	}
}

func (o *codebookOptimizer) forget(revived []int) {
	for _, k := range revived {
		o.Forget(codebookName, k)
	}
}

func (o *codebookOptimizer) save(s *state.Set, prefix string) { s.Join(prefix, o.State()) }
