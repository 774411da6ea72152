package vq

import (
	"fmt"

	"actfleet/trainer/ranks"
	"actfleet/trainer/state"
)

// Config says what is trained.
type Config struct {
	Arch   Arch
	Codes  int     // K; with FSQ the product of Levels
	Ids    int     // T
	Levels []int   // of FSQ, the values of every dimension of an id
	Hidden int     // units of the encoder's and the decoder's hidden layer; 0 is none
	Width  int     // values of a code of IRIS
	Loss   Loss    // of the reconstruction, with networks
	Decay  float64 // γ
	Beta   float64 // weight of the commitment loss
	Dead   float64 // share of the mean use below which a code is revived; 0 is never
	Lloyd  int     // steps of k-means at the start
	Clip   float64 // limit of the gradient's norm; 0 is none
	Batch  int     // rows of an optimizer step, to weigh the start against them
	Seed   uint64
}

// Learner is a tokenizer in training. One goroutine uses it.
type Learner interface {
	// Distribute makes it one of several, each with the same codes, which add up what they found at the end of every step.
	// The rows it is given are those of a batch from place from on. It comes before Init and Restored.
	Distribute(r ranks.Ranks, from int)
	// Init prepares the first step from n sample rows [n, D].
	Init(sample []float32, n int) error
	// Micro adds the statistics and gradients of n rows x [n, D] to the window.
	Micro(x []float32, n int) error
	// Step ends the window and returns its metrics.
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
	if _, err := ParseArch(string(cfg.Arch)); err != nil {
		return nil, fmt.Errorf("vq: %w", err)
	}
	dims, err := cfg.Dims(d)
	if err != nil {
		return nil, fmt.Errorf("vq: %w", err)
	}
	if cfg.Arch.Books() && (!(cfg.Decay > 0 && cfg.Decay < 1) || !(cfg.Dead >= 0)) {
		return nil, fmt.Errorf("vq: decay %v with revival below %v does not fit", cfg.Decay, cfg.Dead)
	}
	if cfg.Arch.Nets() {
		return newCodecLearner(dims, cfg)
	}
	return newChainLearner(dims, cfg), nil
}
