package sae

import (
	"errors"

	"actfleet/trainer/optim"
)

// Config says what is trained, and how. The package documentation has the symbols.
type Config struct {
	Arch       Arch    // "" is TopK
	Width      int     // M, the number of latents
	K          int     // active latents of a row; with BatchTopK and Matryoshka on average
	AuxK       int     // dead latents of a row in the auxiliary loss; 0 is no auxiliary loss
	AuxCoef    float64 // c, its coefficient
	DeadTokens int     // a latent is dead after so many rows without firing
	Clip       float64 // limit of the global norm of the gradient of V·loss; 0 is none
	Scale      bool    // scale rows to E‖z‖² = d; without it s = 1
	Untied     bool    // the encoder sees s·x where it would see s·x − b_d
	Steps      int     // of the whole training, for schedules
	Seed       uint64  // of initialisation, sampled prefixes and resampling

	Optimizer optim.Config // the zero Config is Adam
	EMA       float64      // decay of the average of weights that Export returns; 0 is none

	Penalty   float64  // λ, the sparsity coefficient
	Warmup    int      // steps over which λ rises from 0
	TargetL0  float64  // active latents of a row that λ is moved towards; 0 leaves λ as it is
	Sparsity  Sparsity // form of the penalty of ReLU; "" is L1
	GroupSize int      // latents of a group
	PEnd      float64  // exponent that PAnneal ends with
	PFrom     int      // the last step in which it is 1
	Bandwidth float64  // ε of the JumpReLUs
	Theta     float64  // initial θ of the JumpReLUs
	Preact    float64  // λ_P of JumpReLUTanh

	Prefixes int  // of Matryoshka
	Sampled  bool // prefixes are drawn for every step

	DataInit float64 // share of a sample row in an initial direction
	Resample int     // steps between resamplings of dead latents, in the first half of Steps; 0 is never

	Target     int       // length of the vector to be predicted (a transcoder); 0 is an autoencoder
	Skip       bool      // a transcoder has a skip connection
	Parts      []int     // as in Shape
	Importance []float32 // [out] weights of the squared errors, of mean 1; nil is 1
}

func (c Config) shape(d int) Shape {
	return Shape{Arch: c.Arch, D: d - c.Target, M: c.Width, K: c.K, Out: c.Target, Skip: c.Skip, Parts: c.Parts}
}

// check refuses what does not fit together.
func (c Config) check(a architecture, s Shape) error {
	switch {
	case c.AuxK < 0 || c.Resample < 0:
		return errors.New("aux_k and resample must not be negative")
	case c.TargetL0 != 0 && a.arch.BoundByK():
		return errors.New("target_l0 is for architectures with a penalty; k is the number of latents of this one")
	case c.TargetL0 < 0 || c.TargetL0 > float64(c.Width) || c.TargetL0 > 0 && !(c.Penalty > 0):
		return errors.New("target_l0 must be between 0 and width, and needs a penalty to begin with")
	case !(c.EMA >= 0 && c.EMA < 1):
		return errors.New("ema must be at least 0 and below 1")
	case c.Importance != nil && len(c.Importance) != s.Outputs():
		return errors.New("importance has another length than the vector")
	case c.Sparsity != L1 && !a.sparsity:
		return errors.New("sparsity is for relu alone")
	case c.Sparsity.groups() && c.GroupSize < 1:
		return errors.New("a group of no latents")
	}
	for _, w := range c.Importance {
		if !(w > 0) || w-w != 0 {
			return errors.New("every weight of importance must be positive and finite")
		}
	}
	if a.check != nil {
		if err := a.check(c); err != nil {
			return err
		}
	}
	return c.Sparsity.check()
}
