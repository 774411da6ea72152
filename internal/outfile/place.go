package outfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrRefused says that nothing may be written to a path.
var ErrRefused = errors.New("refused")

// Place returns where a path leads, links and all, if a file may be written there: nothing is there yet, or something of
// ours, as its first bytes tell, and force is set. The folder must exist.
func Place(path string, ours func(head []byte) bool, force bool) (string, error) {
	at, err := lead(path)
	if err != nil {
		return "", err
	}
	if err := outside(filepath.Dir(at), filepath.Base(at)); err != nil {
		return "", fmt.Errorf("write %s: %w: %w", path, ErrRefused, err)
	}
	info, err := os.Lstat(at)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return at, nil
	case err != nil:
		return "", fmt.Errorf("write %s: %w", path, err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("write %s: %w: it exists and is no regular file; choose another name", path, ErrRefused)
	}
	head, err := Head(at)
	switch {
	case err != nil:
		return "", fmt.Errorf("write %s: %w: it exists and cannot be read: %w", path, ErrRefused, err)
	case !ours(head):
		return "", fmt.Errorf("write %s: %w: a file is there that this command did not write; choose another name", path, ErrRefused)
	case !force:
		return "", fmt.Errorf("write %s: %w: it exists; --force replaces it", path, ErrRefused)
	}
	return at, nil
}

// CheckFolder tells whether a folder may be made at a path: whoever makes it sees whether something is there. Folders
// above it may be missing.
func CheckFolder(path string) error {
	at, err := lead(path)
	if err != nil {
		return err
	}
	if err := outside(filepath.Dir(at), filepath.Base(at)); err != nil {
		return fmt.Errorf("write %s: %w: %w", path, ErrRefused, err)
	}
	return nil
}

// lead follows a path through all links, as far as it exists.
func lead(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	rest := ""
	for dir := abs; ; dir = filepath.Dir(dir) {
		at, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(at, rest), nil
		}
		if _, there := os.Lstat(dir); there == nil || !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("write %s: %w: %s is a link that leads nowhere, or cannot be followed", path, ErrRefused, dir)
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}

// outside returns an error if a name in a folder would lie in what is not the user's to write to.
func outside(dir, name string) error {
	for ; ; dir, name = filepath.Dir(dir), filepath.Base(dir) {
		if err := free(dir, name); err != nil {
			return err
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// free returns an error if a folder is a run's, a model's or a coder's and must not get a file or folder of that name.
func free(dir, name string) error {
	switch {
	case has(dir, "unit-*.parquet", "rows-*.parquet"):
		return fmt.Errorf("%s holds shards or prompts of a run", dir)
	case has(dir, "plan.json") && slices.Contains([]string{"plan.json", "manifest.json", "acts", "input", "codes", "diverged", "log"}, name):
		return fmt.Errorf("%s is a run, and %s its own", dir, name)
	case has(dir, "config.json") && has(dir, "*.safetensors", "*.gguf", "pytorch_model*", "*.safetensors.index.json"):
		return fmt.Errorf("%s is a model", dir)
	case has(dir, "cfg.json") && has(dir, "*.safetensors", "metrics.jsonl", "checkpoints"):
		return fmt.Errorf("%s is the folder of a coder", dir)
	}
	return nil
}

// has tells whether a folder has an entry that matches one of the patterns, which have at most one *.
func has(dir string, patterns ...string) bool {
	entries, _ := os.ReadDir(dir)
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			head, tail, many := strings.Cut(p, "*")
			return e.Name() == p || many && strings.HasPrefix(e.Name(), head) && strings.HasSuffix(e.Name(), tail)
		})
	})
}
