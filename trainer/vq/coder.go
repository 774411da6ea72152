package vq

import (
	"fmt"

	"actfleet/trainer/state"
)

// Coder turns rows into ids and back. One goroutine uses it.
type Coder interface {
	// Dims are its sizes.
	Dims() Dims
	// Encode writes the ids [n, T] of n rows x [n, D].
	Encode(x []float32, n int, ids []int32) error
	// Decode writes the n rows xhat [n, D] that ids [n, T] stand for.
	Decode(ids []int32, n int, xhat []float32) error
	// Save writes a file that Load reads.
	Save(path string) error
}

// loadable is a Coder that a file can be read into.
type loadable interface {
	Coder
	// files are its arrays.
	files() *state.Set
	// checkScale refuses a scale that rows cannot be divided by.
	checkScale() error
}

var (
	_ loadable = (*Codebooks)(nil)
	_ loadable = (*VQVAE)(nil)
)

// Load reads what Save wrote for vectors of length d.
func Load(path string, d int, cfg Config) (Coder, error) {
	dims, err := cfg.Dims(d)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	v, err := cfg.Arch.variant()
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	if err := state.Holds(path, 4*v.weights(cfg, dims)); err != nil {
		return nil, err
	}
	c, err := v.coder(cfg, dims)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	if err := c.files().LoadFinite(path); err != nil {
		return nil, err
	}
	if err := c.checkScale(); err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	return c, nil
}

// save writes a file that Load reads.
func save(c loadable, arch Arch, path string) error {
	return c.files().Save(path, map[string]string{"format": "pt", "arch": string(arch)})
}
