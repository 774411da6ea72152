package model

import (
	"fmt"
	"path/filepath"
	"strings"

	"actfleet/collector/model/gguf/checkpoint"
	"actfleet/collector/model/layer"
)

// weights is an open checkpoint of either format.
type weights interface {
	layer.Weights
	Digest() (string, error)
	Close() error
}

func isGGUF(path string) bool { return strings.EqualFold(filepath.Ext(path), ".gguf") }

// openGGUF opens a file as its config.json and its weights.
func openGGUF(path string) ([]byte, weights, error) {
	c, err := checkpoint.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("load model %w", err)
	}
	return c.Config(), c, nil
}
