package export

import (
	"fmt"
	"os"
	"path/filepath"
)

// marks are the files that tell layouts apart, the most telling first.
var marks = []struct {
	file string
	f    Format
}{
	{saelensWeights, SAELens},
	{sparsifyWeights, Sparsify},
	{filepath.Join(dictionaryTrainer, dictionaryWeights), DictionaryLearning},
	{dictionaryWeights, DictionaryLearning},
	{openaiWeights, OpenAI},
	{npzFile, NPZ},
}

// Detect tells the layout of a folder by the files in it.
func Detect(dir string) (Format, error) {
	var names []string
	for _, m := range marks {
		if _, err := os.Stat(filepath.Join(dir, m.file)); err == nil {
			return m.f, nil
		}
		names = append(names, m.file)
	}
	return "", fmt.Errorf("import: %s holds none of %v: %w", dir, names, ErrFormat)
}
