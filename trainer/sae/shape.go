package sae

import "fmt"

// Shape is what a model is made of.
type Shape struct {
	Arch    Arch
	D, M, K int
	// Out is the length of the vector that is reconstructed where that is another than the one
	// encoded (a transcoder): it then stands behind it in every row. 0 is an autoencoder.
	Out  int
	Skip bool // a transcoder has W_skip
	// Parts are the lengths of the vectors that stand side by side in D (a crosscoder); nil is one.
	Parts []int
}

// Row is the length of a row: of the vector and what is reconstructed.
func (s Shape) Row() int { return s.D + s.Out }

// Outputs is the length of what is reconstructed.
func (s Shape) Outputs() int {
	if s.Out > 0 {
		return s.Out
	}
	return s.D
}

// parts are the lengths of the vectors that are reconstructed.
func (s Shape) parts() []int {
	if len(s.Parts) > 0 {
		return s.Parts
	}
	return []int{s.Outputs()}
}

// check refuses what is no model.
func (s Shape) check() error {
	if _, err := ParseArch(string(s.Arch)); err != nil {
		return err
	}
	if s.D < 1 || s.M < 1 || s.K < 1 || s.K > s.M || s.Out < 0 {
		return fmt.Errorf("width %d and k %d over vectors of %d do not make an autoencoder", s.M, s.K, s.D)
	}
	if s.Skip && s.Out == 0 {
		return fmt.Errorf("skip is for transcoders: give a target")
	}
	sum := 0
	for _, p := range s.Parts {
		sum += p
	}
	if s.Parts != nil && (s.Out > 0 || sum != s.D) {
		return fmt.Errorf("vectors of %v side by side do not make rows of %d", s.Parts, s.D)
	}
	return nil
}
