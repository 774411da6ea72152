package trainer

import (
	"actfleet/trainer/ranks"
	"actfleet/trainer/sae"
	"actfleet/trainer/state"
	"actfleet/trainer/vq"
)

// Learner is a coder while it is trained. One goroutine uses it.
type Learner interface {
	// Distribute makes it one of several that all-reduce their gradients at the end of every step. The rows it is
	// given are those of a batch from place from on. It comes before Init and Restored.
	Distribute(r ranks.Ranks, from int)
	// Init prepares the first step from n sample rows [n, D].
	Init(sample []float32, n int) error
	// Micro adds the gradients and statistics of n rows x [n, D], as sums, to the
	// batch of the current step.
	Micro(x []float32, n int) error
	// Step ends the batch with one optimizer step and returns its metrics.
	Step(lr float64) (map[string]float64, error)
	// State is everything that training goes on from, between two steps; Restored
	// takes over what was loaded into it.
	State() *state.Set
	Restored() error
}

var (
	_ Learner = (*sae.Learner)(nil)
	_ Learner = vq.Learner(nil)
)
