package trainer

import (
	"fmt"
	"math"

	"actfleet/trainer/coder"
	"actfleet/trainer/optim"
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

// Meter measures a coder on rows.
type Meter interface {
	Add(x []float32, n int) error
	Metrics() map[string]float64
}

// newLearner makes the learner of a kind for rows of vectors of these lengths.
func newLearner(kind string, widths []int, c Config) (Learner, error) {
	d := 0
	for _, w := range widths {
		d += w
	}
	switch kind {
	case coder.SAE:
		cfg, err := c.learnerSAE(widths)
		if err != nil {
			return nil, err
		}
		return sae.New(d, cfg)
	case coder.VQ:
		return vq.New(d, c.tokenizer())
	}
	return nil, fmt.Errorf("coders of kind %q are not trained step by step", kind)
}

// newMeter measures a learner as it is now.
func newMeter(l Learner) Meter {
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

// The greatest dead_tokens that Auto gives: what most published trainings use.
const maxDeadTokens = 10_000_000

// rateAt2048 is the learning rate for 2048 latents and vectors brought to unit mean
// square, the best of 2e-3, 4e-3 and 8e-3 over 500 steps on sparse sums of 1024
// directions; it falls with the root of the width as others scale theirs.
const rateAt2048 = 4e-3

// rateOf is an optimizer's learning rate in multiples of Adam's, about the best on planted directions.
func rateOf(n optim.Name) float64 {
	switch n {
	case optim.BySGD:
		return 5000
	case optim.ByAdafactor:
		return 4
	case optim.BySignSGD:
		return 0.25
	}
	return 1
}

// resolve replaces what the data decide: steps from epochs, aux_k from the vector's
// length, dead_tokens from the length of the training, lr from the width; of a tokenizer
// ids, codes and lr from its kind.
func (c *Config) resolve(kind string, d int, rows int64) {
	if c.Epochs > 0 {
		perEpoch := (rows + int64(c.Batch) - 1) / int64(c.Batch)
		c.Steps = int(perEpoch) * c.Epochs
	}
	if kind == coder.VQ {
		c.resolveTokenizer()
	}
	if kind != coder.SAE {
		return
	}
	if c.LR == 0 {
		c.LR = rateAt2048 * rateOf(optim.Name(c.Optimizer)) * math.Sqrt(2048/float64(c.Width))
	}
	c.resolveSAE(d)
	if c.DeadTokens == Auto {
		total := float64(c.Steps) * float64(c.Batch)
		c.DeadTokens = int(math.Min(maxDeadTokens, math.Max(total/10, float64(8*c.Batch))))
	}
}
