package codes

import (
	"fmt"
	"path/filepath"

	"actfleet/trainer/coder"
	"actfleet/trainer/recipe"
	"actfleet/trainer/sae"
	"actfleet/trainer/vq"
)

// OpenSAE loads the autoencoder of a folder, every scale folded into its weights.
func OpenSAE(dir string) (*sae.Model, coder.Card, error) {
	c, err := coder.ReadCard(dir)
	if err != nil {
		return nil, c, err
	}
	if c.Kind != coder.SAE {
		return nil, c, fmt.Errorf("%s holds a coder of kind %q, not an autoencoder", dir, c.Kind)
	}
	if _, err := coder.ID(dir); err != nil { // says what to do when the training has not ended
		return nil, c, err
	}
	m, err := LoadSAE(dir, c)
	return m, c, err
}

func LoadSAE(dir string, c coder.Card) (*sae.Model, error) {
	return sae.Load(filepath.Join(dir, coder.WeightsFile), shapeOf(c))
}

// shapeOf is what the autoencoder is made of.
func shapeOf(c coder.Card) sae.Shape {
	skip, _ := c.Config["skip"].(bool)
	return sae.Shape{Arch: sae.Arch(c.Arch), D: c.DIn, M: c.Width, K: c.K, Out: c.DOut, Skip: skip, Parts: c.Parts}
}

// loadTokenizer loads the tokenizer of a folder.
func LoadTokenizer(path string, c coder.Card) (vq.Coder, error) {
	cfg, err := recipe.Of(c)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	return vq.Load(path, c.DIn, cfg.VQ.Learner(cfg.Loop, cfg.Seed))
}
