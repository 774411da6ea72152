package model

import (
	"fmt"
	"path/filepath"
	"strings"

	"actfleet/collector/model/bpe"
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

// LoadTokenizer reads the tokenizer of a checkpoint: tokenizer.json of a directory, or the vocabulary of a
// .gguf file. Errors: bpe.ErrUnsupported, bpe.ErrCorrupt, gguf.ErrCorrupt, gguf.ErrUnsupported, or what the
// file system says.
func LoadTokenizer(dir string) (*bpe.BPE, error) {
	dir, err := Resolve(dir)
	if err != nil {
		return nil, err
	}
	if !isGGUF(dir) {
		return bpe.Load(filepath.Join(dir, "tokenizer.json"))
	}
	c, err := checkpoint.Open(dir)
	if err != nil {
		return nil, err
	}
	defer c.Close() // read only
	text, err := c.Tokenizer()
	if err != nil {
		return nil, fmt.Errorf("%s: tokenizer: %w", dir, err)
	}
	b, err := bpe.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: tokenizer: %w", dir, err)
	}
	return b, nil
}
