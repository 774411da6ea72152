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
	return sae.Load(filepath.Join(dir, WeightsFile), sae.Arch(c.Arch), c.DIn, c.Width, c.K)
}
