package trainer

import (
	"fmt"

	"actfleet/trainer/coder"
	"actfleet/trainer/measure"
	"actfleet/trainer/ranks"
	"actfleet/trainer/recipe"
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

// newLearner makes the learner of a kind for rows of vectors of these lengths.
func newLearner(widths []int, c recipe.Recipe) (Learner, error) {
	d := 0
	for _, w := range widths {
		d += w
	}
	switch c.Kind {
	case coder.SAE:
		cfg, err := c.SAELearner(widths)
		if err != nil {
			return nil, err
		}
		return sae.New(d, cfg)
	case coder.VQ:
		return vq.New(d, c.VQLearner())
	}
	return nil, fmt.Errorf("coders of kind %q are not trained step by step", c.Kind)
}

// newMeter measures a learner as it is now.
func newMeter(l Learner) measure.Meter {
	switch l := l.(type) {
	case *sae.Learner:
		return &sae.Eval{Model: l.Export()}
	case vq.Learner:
		return &vq.Eval{Coder: l.Export()}
	}
	return nil
}

// export writes the weights of a learner.
func export(l Learner, path string) error {
	switch l := l.(type) {
	case *sae.Learner:
		return l.Export().Save(path)
	case vq.Learner:
		return l.Export().Save(path)
	}
	return fmt.Errorf("export %T: unknown learner", l)
}
