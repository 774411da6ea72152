package sae

import (
	"errors"

	"actfleet/trainer/optim"
)

// Config says what is trained.
type Config struct {
	Arch       Arch    // "" is TopK
	Width      int     // M
	K          int     // active latents of a row where a row or a step has K of them
	AuxK       int     // dead latents tried on what is left; 0 is no auxiliary loss
	AuxCoef    float64 // c
	DeadTokens int     // a latent is dead after so many rows without firing
	Clip       float64 // limit of the global norm of the gradient of the loss times V; 0 is none
	Scale      bool    // bring E‖z‖² to d; without it s = 1
	Untied     bool    // the encoder sees x itself also where the convention takes b_d from it
	Steps      int     // of the whole training, for what changes on the way
	Seed       uint64

	Optimizer optim.Config // the zero Config is Adam
	EMA       float64      // β of the average of weights that Export gives; 0 is none

	Penalty   float64  // λ
	Rise      int      // steps over which λ rises from 0
	Sparsity  Sparsity // what the ReLUs pay for; "" is L1
	Group     int      // latents of a group
	PEnd      float64  // exponent that PAnneal ends with
	PFrom     int      // the step it leaves 1 at
	Bandwidth float64  // ε of what jumps
	Theta     float64  // θ of what jumps at the start
	Preact    float64  // λ_P of JumpReLUTanh

	Prefixes int  // of Matryoshka
	Sampled  bool // drawn anew for every step

	DataInit float64 // share of a sample row in a first direction
	Resample int     // steps between resamplings of dead latents, in the first half; 0 is never

	Target     int       // length of the vector to be predicted; 0 is an autoencoder
	Skip       bool      // of a transcoder
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
	case !(c.EMA >= 0 && c.EMA < 1):
		return errors.New("ema must be at least 0 and below 1")
	case c.Importance != nil && len(c.Importance) != s.Outputs():
		return errors.New("importance has another length than the vector")
	case c.Sparsity != L1 && !a.sparsity:
		return errors.New("sparsity is for relu alone")
	case c.Sparsity.groups() && c.Group < 1:
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
