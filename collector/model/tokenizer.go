package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"actfleet/collector/model/bpe"
	"actfleet/collector/model/gguf/checkpoint"
)

// ErrNoTokenizer says that a checkpoint has no text tokenizer that can be read; it takes token ids all the same.
var ErrNoTokenizer = errors.New("no tokenizer.json")

// LoadTokenizer reads the tokenizer of a checkpoint: tokenizer.json of a directory and the files beside it, as
// transformers' AutoTokenizer does, or the vocabulary of a .gguf file. Errors: ErrNoTokenizer, bpe.ErrUnsupported,
// bpe.ErrCorrupt, gguf.ErrCorrupt, gguf.ErrUnsupported, those of Resolve, or what the file system says.
func LoadTokenizer(dir string) (*bpe.BPE, error) {
	dir, err := Resolve(dir)
	if err != nil {
		return nil, err
	}
	if isGGUF(dir) {
		return ggufTokenizer(dir)
	}
	kind, err := writtenType(dir)
	if err != nil {
		return nil, err
	}
	t, err := bpe.LoadDir(dir, kind)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noTokenizer(dir)
	}
	return t, err
}

// writtenType is model_type of the directory's config.json, as it stands there; "" without the file.
func writtenType(dir string) (string, error) {
	text, err := readConfig(filepath.Join(dir, "config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	var head struct {
		ModelType string `json:"model_type"`
	}
	_ = json.Unmarshal(text, &head) // whoever loads the model says what is wrong with it
	return head.ModelType, err
}

// otherVocabularies are files that hold a tokenizer in a form that is not read.
var otherVocabularies = []string{"tokenizer.model", "tekken.json", "tiktoken.model", "spiece.model", "vocab.json", "qwen.tiktoken"}

func noTokenizer(dir string) error {
	var there []string
	for _, name := range otherVocabularies {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			there = append(there, name)
		}
	}
	has := ""
	if len(there) > 0 {
		has = " (it holds " + strings.Join(there, ", ") + ", which is not read)"
	}
	return fmt.Errorf("%w in %s%s: give token ids (a column input_ids), or make one: transformers' AutoTokenizer.from_pretrained(…).save_pretrained(%q)",
		ErrNoTokenizer, dir, has, dir)
}

func ggufTokenizer(path string) (*bpe.BPE, error) {
	c, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	defer c.Close() // read only
	text, err := c.Tokenizer()
	if err != nil {
		return nil, fmt.Errorf("%s: tokenizer: %w", path, err)
	}
	b, err := bpe.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: tokenizer: %w", path, err)
	}
	return b, nil
}
