package trainer

import (
	"fmt"
	"path/filepath"

	"actfleet/trainer/sae"
)

// OpenSAE loads the autoencoder of a folder, every scale folded into its weights.
func OpenSAE(dir string) (*sae.Model, Coder, error) {
	c, err := ReadCoder(dir)
	if err != nil {
		return nil, c, err
	}
	if c.Kind != SAE {
		return nil, c, fmt.Errorf("%s holds a coder of kind %q, not an autoencoder", dir, c.Kind)
	}
	if _, err := ID(dir); err != nil { // says what to do when the training has not ended
		return nil, c, err
	}
	m, err := loadSAE(dir, c)
	return m, c, err
}

func loadSAE(dir string, c Coder) (*sae.Model, error) {
	return sae.Load(filepath.Join(dir, WeightsFile), c.shape())
}

// shape is what the autoencoder is made of.
func (c Coder) shape() sae.Shape {
	skip, _ := c.Config["skip"].(bool)
	return sae.Shape{Arch: sae.Arch(c.Arch), D: c.DIn, M: c.Width, K: c.K, Out: c.DOut, Skip: skip, Parts: c.Parts}
}
