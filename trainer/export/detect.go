package export

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// place is where a layout was found.
type place struct {
	dir        string
	file       string // the one file that was named or found, where there is one
	transcoder bool   // what is read predicts another vector, if the layout leaves that open
}

// name is the file that was named, or the one that a layout has otherwise.
func (p place) name(otherwise string) string {
	if p.file != "" {
		return p.file
	}
	return otherwise
}

// marks are the files that tell layouts apart, the most telling first; * stands for anything.
var marks = []struct {
	file string
	f    Format
}{
	{openmossCfg, LlamaScope},
	{saelensWeights, SAELens},
	{sparsifyWeights, Sparsify},
	{gemmaWeights, GemmaScope2},
	{filepath.Join(dictionaryTrainer, dictionaryWeights), DictionaryLearning},
	{dictionaryWeights, DictionaryLearning},
	{openaiWeights, OpenAI},
	{npzFile, NPZ},
	{"layer_*.safetensors", CircuitTracer},
	{"*.sae.pt", Torch},
	{"*.pt", Torch},
	{"*.pth", Torch},
}

// others are the files of layouts that are known and not read.
var others = map[string]string{
	"W_enc_*.safetensors":     "cross-layer transcoders (CLT): no coder here writes to several layers",
	"latest_ckpt.safetensors": "temporal autoencoders: no coder here looks at earlier tokens",
}

// Detect tells the layout of a folder by the files in it, or that of a file by its name.
func Detect(path string) (Format, error) {
	f, _, err := find(path, "")
	return f, err
}

// find is where a layout lies at a path, which is a folder or one of its files; wanted "" is any layout.
func find(path string, wanted Format) (Format, place, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", place{}, fmt.Errorf("import: %w", err)
	}
	if info.IsDir() {
		return findIn(path, wanted)
	}
	dir, file := filepath.Split(filepath.Clean(path))
	if err := notRead(dir, file); err != nil {
		return "", place{}, err
	}
	for _, m := range marks {
		if is, _ := filepath.Match(filepath.Base(m.file), file); is && (wanted == "" || m.f == wanted) {
			return refine(m.f, dir), place{dir: dir, file: file}, nil
		}
	}
	return "", place{}, fmt.Errorf("import: no layout that is read has a file %s: %w", file, ErrFormat)
}

// findIn looks for a layout among the files of a folder.
func findIn(dir string, wanted Format) (Format, place, error) {
	if err := notRead(dir, "*"); err != nil {
		return "", place{}, err
	}
	var names []string
	for _, m := range marks {
		if wanted != "" && refine(m.f, dir) != wanted {
			continue
		}
		names = append(names, m.file)
		found, err := filepath.Glob(filepath.Join(escape(dir), m.file))
		switch {
		case err != nil:
			return "", place{}, fmt.Errorf("import: %w", err)
		case len(found) > 1:
			return "", place{}, fmt.Errorf("import: %s holds %d files %s: name the one to read, such as %s", dir, len(found), m.file, found[0])
		case len(found) == 1 && strings.Contains(m.file, "*"):
			return m.f, place{dir: dir, file: filepath.Base(found[0])}, nil
		case len(found) == 1:
			return refine(m.f, dir), place{dir: dir}, nil
		}
	}
	return "", place{}, fmt.Errorf("import: %s holds none of %v: %w", dir, names, ErrFormat)
}

// refine tells layouts apart that have a file in common.
func refine(f Format, dir string) Format {
	if _, err := os.Stat(filepath.Join(dir, saelensCfg)); f == SAELens && err != nil {
		if _, err := os.Stat(filepath.Join(dir, gemmaCfg)); err == nil {
			return LlamaScope
		}
	}
	return f
}

// notRead names layouts that are known and refused: those that a file of a folder is of, or any file (*).
func notRead(dir, only string) error {
	files := []string{only}
	if only == "*" {
		list, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		for _, e := range list {
			files = append(files, e.Name())
		}
	}
	for _, file := range files {
		for pattern, what := range others {
			if is, _ := filepath.Match(pattern, file); is {
				return fmt.Errorf("import: %s holds %s: %w", filepath.Join(dir, file), what, ErrFormat)
			}
		}
	}
	return nil
}

// escape is a folder's name as a pattern that matches it alone.
func escape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
