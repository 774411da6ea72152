package trainer

import (
	"fmt"
	"path/filepath"

	"actfleet/trainer/coder"
	"actfleet/trainer/sae"
	"actfleet/trainer/vq"
)

// openMeter loads a trained coder to measure it.
func openMeter(dir string, c coder.Card) (Meter, error) {
	path := filepath.Join(dir, coder.WeightsFile)
	switch c.Kind {
	case coder.SAE:
		m, err := loadSAE(dir, c)
		return &sae.Eval{Model: m}, err
	case coder.VQ:
		m, err := loadTokenizer(path, c)
		return &vq.Eval{Coder: m}, err
	}
	return nil, fmt.Errorf("%s holds a coder of kind %q: only sae and vq reconstruct", dir, c.Kind)
}
