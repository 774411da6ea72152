package measure

import (
	"fmt"
	"path/filepath"

	"actfleet/trainer/coder"
	"actfleet/trainer/codes"
	"actfleet/trainer/sae"
	"actfleet/trainer/vq"
)

// Meter measures a coder on rows.
type Meter interface {
	Add(x []float32, n int) error
	Metrics() map[string]float64
}

// openMeter loads a trained coder to measure it.
func openMeter(dir string, c coder.Card) (Meter, error) {
	if err := coder.Trained(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, coder.WeightsFile)
	switch c.Kind {
	case coder.SAE:
		m, err := codes.LoadSAE(dir, c)
		return &sae.Eval{Model: m}, err
	case coder.VQ:
		m, err := codes.LoadTokenizer(path, c)
		return &vq.Eval{Coder: m}, err
	}
	return nil, fmt.Errorf("%s holds a coder of kind %q: only sae and vq reconstruct", dir, c.Kind)
}
