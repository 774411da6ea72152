package main

import (
	"fmt"
	"slices"

	"actfleet/collector/model"
	"actfleet/collector/steer"
	"actfleet/internal/smallfile"
	"actfleet/shard/tap"
	"actfleet/trainer/codes"
	"actfleet/trainer/export/npy"
	"actfleet/trainer/sae"
)

const steerHelp = "change what the model computes, at every position: " + steer.Syntax + "; repeatable"

// steering makes the changes that --steer asks for of a model; nothing where there are none.
func steering(specs []string, m languageModel) (taps []tap.Tap, replace func(i int, v model.View) error, err error) {
	if len(specs) == 0 {
		return nil, nil, nil
	}
	var changes []steer.Change
	for _, text := range specs {
		s, err := steer.Parse(text)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: --steer: %w", errUsage, err)
		}
		c, err := loadChange(s)
		if err != nil {
			return nil, nil, fmt.Errorf("--steer %s: %w", text, err)
		}
		changes = append(changes, c)
	}
	if taps, replace, err = steer.Replace(changes, m.Width); err != nil {
		err = fmt.Errorf("--steer: %w", err)
	}
	return taps, replace, err
}

// loadChange reads the vector or the coder of a change.
func loadChange(s steer.Spec) (c steer.Change, err error) {
	c = steer.Change{Tap: s.Tap, Amount: s.Amount, Latent: max(s.Latent, 0)}
	if s.Latent < 0 {
		c.Direction, err = loadVector(s.Source)
		return c, err
	}
	m, card, err := codes.OpenSAE(s.Source)
	if err != nil {
		return c, err
	}
	switch {
	case m.Out != 0 || len(m.Parts) > 0:
		return c, fmt.Errorf("%s reads one place and writes another: only an autoencoder's latents have a direction at one", s.Source)
	case s.Latent >= card.Width:
		return c, fmt.Errorf("%s has latents 0 to %d", s.Source, card.Width-1)
	case card.Column != "" && card.Column != s.Tap.Column(""):
		return c, fmt.Errorf("%s was trained on %s, not on %s", s.Source, card.Column, s.Tap.Column(""))
	}
	c.Direction = slices.Clone(m.WDec[s.Latent*m.D : (s.Latent+1)*m.D])
	if s.Set {
		c.Coder = saeCoder{m}
	}
	return c, nil
}

// maxVectorBytes bounds a .npy file before it is read.
const maxVectorBytes = 1 << 24

// loadVector reads the array of a .npy file, as numpy.save writes it, all its numbers in a row.
func loadVector(path string) ([]float32, error) {
	data, err := smallfile.Read(path, maxVectorBytes)
	if err != nil {
		return nil, err
	}
	a, err := npy.Parse(path, data)
	if err != nil {
		return nil, err
	}
	return a.Float32s()
}

// saeCoder is an autoencoder whose latents are looked at one at a time.
type saeCoder struct{ model *sae.Model }

// Codes are those of one latent for n vectors x [n, D].
func (c saeCoder) Codes(x []float32, n, latent int) ([]float32, error) {
	var all sae.Codes
	if err := c.model.Reconstruct(x, make([]float32, len(x)), n, &all); err != nil {
		return nil, err
	}
	out := make([]float32, n)
	for row := range n {
		idx, val := all.Row(row)
		if at := slices.Index(idx, int32(latent)); at >= 0 {
			out[row] = val[at]
		}
	}
	return out, nil
}
