package model

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"actfleet/collector/model/hub"
)

// Resolve returns the directory that holds a checkpoint's files. That is dir itself (or a .gguf file), except where
// dir is one model of Hugging Face's hub cache, models--ORG--NAME, or the name of one, ORG/NAME or
// ORG/NAME@REVISION, and no directory: then it is a snapshot in the cache (see hub.Snapshot, hub.CacheDir). The files
// of a snapshot are symbolic links. Errors: hub.ErrAbsent, ErrAdapter, or what the file system says.
func Resolve(dir string) (string, error) {
	at, err := find(dir)
	if err != nil || isGGUF(at) {
		return at, err
	}
	return at, refuseAdapter(at)
}

func find(dir string) (string, error) {
	_, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return findByName(dir)
	}
	if err != nil || isGGUF(dir) {
		return dir, err
	}
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err == nil {
		return dir, nil
	}
	if _, err := os.Stat(filepath.Join(dir, "snapshots")); err != nil {
		return dir, nil
	}
	return hub.Snapshot(dir, "main")
}

// findByName looks for a model of the hub.
func findByName(name string) (string, error) {
	id, ok := hub.ParseID(name)
	if !ok || isGGUF(name) {
		return "", fmt.Errorf("%s: no such file or directory; --model wants a directory with config.json, tokenizer.json and *.safetensors, "+
			"a .gguf file, or ORG/NAME of the hub: %w", name, fs.ErrNotExist)
	}
	cache := hub.CacheDir(os.Getenv)
	at, err := hub.Find(cache, id)
	if errors.Is(err, hub.ErrAbsent) {
		return "", fmt.Errorf("%s is not a directory here, and %w; download it (hf download %s) or give the directory of a copy", name, err, id.Repo)
	}
	return at, err
}

// Fetch brings a model of the hub into the cache on this machine where name is ORG/NAME of one that is neither a
// directory nor in the cache, and the environment allows it (see hub.NewSource). It returns what to load: name itself,
// or the snapshot. progress is told of each file before it is fetched.
func Fetch(ctx context.Context, name string, progress func(file string, size int64)) (string, error) {
	id, ok := hub.ParseID(name)
	if _, err := os.Stat(name); err == nil || !ok || isGGUF(name) || !strings.Contains(id.Repo, "/") {
		return name, nil
	}
	cache := hub.CacheDir(os.Getenv)
	if _, err := hub.Find(cache, id); !errors.Is(err, hub.ErrAbsent) {
		return name, nil
	}
	from, allowed, err := hub.NewSource(os.Getenv)
	if err != nil || !allowed {
		return name, err
	}
	from.Progress = progress
	at, err := from.Fetch(ctx, cache, id)
	again := "; the same command goes on where this stopped"
	if errors.Is(err, hub.ErrRefused) {
		again = ""
	}
	if err != nil {
		return "", fmt.Errorf("%s is not a directory here and not in the hub's cache %s: %w%s", name, cache, err, again)
	}
	return at, nil
}
