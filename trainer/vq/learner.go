package vq

import (
	"errors"
	"fmt"

	"actfleet/trainer/ranks"
	"actfleet/trainer/state"
)

// Config says what is trained.
type Config struct {
	Arch        Arch
	Codes       int     // K; with FSQ the product of Levels
	Ids         int     // T
	Levels      []int   // of FSQ, the values of every dimension of an id
	Hidden      int     // units of the encoder's and the decoder's hidden layer; 0 is none
	Width       int     // values of a code of IRIS
	Loss        Loss    // of the reconstruction, of a VQVAE
	Decay       float64 // γ
	Beta        float64 // weight of the commitment loss
	DeadShare   float64 // share of the mean use below which a code is dead and begins anew; 0 is never
	KMeansSteps int     // steps of k-means at the start
	Clip        float64 // limit of the gradient's norm; 0 is none
	Batch       int     // rows of an optimizer step, to weigh the start against them
	Seed        uint64
}

// Learner is a tokenizer in training. One goroutine uses it.
type Learner interface {
	// Distribute makes it one of several, each with the same codes, which add up what they found at the end of every step.
	// The rows it is given are those of a batch from place from on. It comes before Init and Restored.
	Distribute(r ranks.Ranks, from int)
	// Init prepares the first step from n sample rows [n, D].
	Init(sample []float32, n int) error
	// Micro adds the statistics and gradients of n rows x [n, D] to the batch.
	Micro(x []float32, n int) error
	// Step ends the batch and returns its metrics.
	Step(lr float64) (map[string]float64, error)
	// State is everything that training goes on from, between two steps; Restored
	// takes over what was loaded into it.
	State() *state.Set
	Restored() error
	// Export is the tokenizer as it is now. It shares memory with the learner.
	Export() Coder
}

// New makes a learner for vectors of length d. It must be given Init or a State
// before the first Micro.
func New(d int, cfg Config) (Learner, error) {
	dims, err := cfg.Dims(d)
	if err != nil {
		return nil, fmt.Errorf("vq: %w", err)
	}
	v, err := cfg.Arch.variant()
	if err != nil {
		return nil, fmt.Errorf("vq: %w", err)
	}
	l, err := v.learner(cfg, dims)
	if err != nil {
		return nil, fmt.Errorf("vq: %w", err)
	}
	return l, nil
}

// checkAverages refuses constants that no codebook is trained with.
func (c Config) checkAverages() error {
	if !(c.Decay > 0 && c.Decay < 1) || !(c.DeadShare >= 0) {
		return fmt.Errorf("decay %v with revival below %v does not fit", c.Decay, c.DeadShare)
	}
	return nil
}

var errNoRows = errors.New("vq: a step without rows")
