package model

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrSnapshot says that a hub cache directory does not tell which checkpoint is meant.
var ErrSnapshot = errors.New("no usable snapshot")

// Resolve returns the directory that holds a checkpoint's files. That is dir itself (or a .gguf file), except where dir is
// one model of Hugging Face's hub cache, models--ORG--NAME: then it is the snapshot that refs/main
// names or, without that file, the only one. The files of a snapshot are symbolic links.
func Resolve(dir string) (string, error) {
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err == nil || isGGUF(dir) {
		return dir, nil
	}
	snapshots, err := os.ReadDir(filepath.Join(dir, "snapshots"))
	if errors.Is(err, fs.ErrNotExist) {
		return dir, nil
	}
	if err != nil {
		return "", err
	}
	revision, err := mainRevision(filepath.Join(dir, "refs", "main"))
	if err != nil {
		return "", fmt.Errorf("find snapshot in %s: %w", dir, err)
	}
	if revision == "" && len(snapshots) == 1 {
		revision = snapshots[0].Name()
	}
	for _, s := range snapshots {
		if s.Name() == revision {
			return filepath.Join(dir, "snapshots", revision), nil
		}
	}
	if revision == "" {
		return "", fmt.Errorf("%w: %s has %d snapshots and no refs/main; name one of the directories in snapshots/", ErrSnapshot, dir, len(snapshots))
	}
	return "", fmt.Errorf("%w: refs/main of %s names snapshot %q, which is not there; download the model again", ErrSnapshot, dir, revision)
}

// mainRevision reads a ref file; an absent one gives "".
func mainRevision(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close() // read only
	text, err := io.ReadAll(io.LimitReader(f, 256))
	return strings.TrimSpace(string(text)), err
}

// nameOf is the last element of a checkpoint's directory; of a snapshot in a hub cache, whose directory
// is a hash, it is the model's name.
func nameOf(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	parent := filepath.Dir(abs)
	repo := filepath.Base(filepath.Dir(parent))
	if filepath.Base(parent) == "snapshots" && strings.HasPrefix(repo, "models--") {
		return repo[strings.LastIndex(repo, "--")+2:], nil
	}
	return filepath.Base(abs), nil
}
