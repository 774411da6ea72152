package vq

import "actfleet/trainer/optim"

// mover moves a codebook by the gradient of its loss with SparseAdam: codes that
// nothing used in a step stay where they are, and remember nothing once revived.
type mover struct {
	optim.Optimizer
	stat  *stat
	param optim.Param
}

const codebookName = "codebook"

func newMover(s *stat) *mover {
	p := optim.Param{Name: codebookName, Shape: []int{s.k, s.w}, Value: s.codes, Grad: make([]float32, len(s.codes))}
	return &mover{Optimizer: optim.NewSparseAdam([]optim.Param{p}), stat: s, param: p}
}

// gradient writes weight·∂Σ‖sg(z)−e‖²/∂e of the window to the parameter.
func (m *mover) gradient(weight float64) { m.stat.gradient(m.param.Grad, weight) }

// forget forgets codes that were revived; a nil mover has nothing to forget.
func (m *mover) forget(revived []int) {
	if m == nil {
		return
	}
	for _, k := range revived {
		m.Forget(codebookName, k)
	}
}
